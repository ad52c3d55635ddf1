"""What is not in the matrix, and why: the one place where a cell may be anything but a test passed.

Keys are features (the rows' titles) and columns' names. A cell that does not apply has no test. A
cell that is refused has one: the feature's own test must end in an error of one line, which the
pattern matches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

T = TypeVar("T")

ON_POLICY = ("GAIL", "AIRL", "GAIfO", "TRPO", "A2C")
DACS = ("DAC", "TD3", "TQC")
SQILS = ("SQIL (DQN)", "SQIL (SAC)")
CLONING = ("BC", "DAgger")
EVERYBODY = (*ON_POLICY, *DACS, *SQILS, *CLONING)


class Refused(NamedTuple):
    pattern: str  # of the message
    reason: str


NO_STEPS = "it takes no environment steps"
NO_REPLAY = "it has no replay buffer"
NO_NOISE = "SB3's DQN and TD3 have no gSDE"
BY_ACTIONS = "SQIL chooses the learner by the actions: see its other column"
LIKE_SB3 = "the SB3 algorithm behind it does not take them either"
EPSILON = "action noise is an argument of SAC, TD3 and TQC only"

DOES_NOT_APPLY: dict[str, dict[tuple[str, ...], str]] = {
    "Box actions": {("SQIL (DQN)",): BY_ACTIONS},
    "Box actions, each dimension with its own bounds": {("SQIL (DQN)",): BY_ACTIONS},
    "Discrete actions": {("SQIL (SAC)",): BY_ACTIONS},
    "MultiDiscrete actions": {(*DACS, *SQILS): LIKE_SB3},
    "MultiBinary actions": {(*DACS, *SQILS): LIKE_SB3},
    "`StopTrainingOnMaxEpisodes`": {("BC",): NO_STEPS},
    "`rollout/ep_rew_mean` is the environment's return": {("BC",): NO_STEPS},
    "The replay buffer saved and loaded": {(*ON_POLICY, *CLONING): NO_REPLAY},
    "`optimize_memory_usage`": {(*ON_POLICY, *CLONING): NO_REPLAY},
    "`train_freq` in episodes, `gradient_steps=-1`": {(*ON_POLICY, *CLONING): NO_REPLAY},
    "n-step returns (SB3 2.9)": {(*ON_POLICY, *CLONING): NO_REPLAY},
    "Action noise": {(*ON_POLICY, "SQIL (DQN)", *CLONING): EPSILON},
    "gSDE": {("SQIL (DQN)", "TD3"): NO_NOISE},
    "A buffer class of the user's": {CLONING: "it has no such argument"},
}

IMAGES = "Images, `CnnPolicy`"

# Cells that are passed on a condition, which their test meets.
CONDITIONS: dict[str, dict[tuple[str, ...], str]] = {
    IMAGES: {
        ("GAIL", "AIRL", "TRPO", "A2C"): "with Discrete actions; with a Box, `imitation`'s CNN "
        'wants `reward_net_kwargs={"use_action": False}`, or give a `reward_net`',
        DACS: 'with `terminal_states="bootstrap"` and `reward_net_kwargs={"use_action": False}`, '
        "or a `reward_net` of your own",
    },
}

_OBSERVATIONS = Refused(
    "cannot imitate with observations of type",
    "observations are a Box or a Dict; one-hot them, or put them into a Dict",
)
_ACTIONS = Refused("cannot imitate with actions of type", "actions are a Box or Discrete")
REFUSED: dict[str, dict[tuple[str, ...], Refused]] = {
    "Discrete actions": {
        DACS: Refused(
            "use GAIL, or SQIL with DQN",
            "the actor's actions are a Box; use GAIL, or SQIL with DQN",
        ),
    },
    "Discrete observations": {EVERYBODY: _OBSERVATIONS},
    "MultiDiscrete observations": {EVERYBODY: _OBSERVATIONS},
    "MultiBinary observations": {EVERYBODY: _OBSERVATIONS},
    "MultiDiscrete actions": {(*ON_POLICY, *CLONING): _ACTIONS},
    "MultiBinary actions": {(*ON_POLICY, *CLONING): _ACTIONS},
    "A buffer class of the user's": {
        (*ON_POLICY, *DACS, *SQILS): Refused(
            "buffer_class", "the buffer is what relabels rewards, or mixes demonstrations in"
        ),
    },
    "`optimize_memory_usage`": {
        (*DACS, *SQILS): Refused(
            "optimize_memory_usage",
            "with it SB3 cannot tell time limits from terminal states",
        ),
    },
    "n-step returns (SB3 2.9)": {
        (*DACS, *SQILS): Refused("n_steps is 3", "rewards are computed for single steps"),
    },
}


def why_not(feature: str, column: str) -> str | None:
    """The reason for which a cell does not apply."""
    return _find(DOES_NOT_APPLY.get(feature, {}), column)


def condition(feature: str, column: str) -> str | None:
    return _find(CONDITIONS.get(feature, {}), column)


def refusal(feature: str, column: str) -> Refused | None:
    return _find(REFUSED.get(feature, {}), column)


def _find(table: Mapping[tuple[str, ...], T], column: str) -> T | None:
    return next((value for columns, value in table.items() if column in columns), None)
