"""One Bullet physics server behind the Gymnasium API: loading, stepping, resetting, rendering."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pybullet
import pybullet_data
from gymnasium import spaces

GRAVITY = 9.8  # m/s^2
TIME_STEP = 0.0165  # s of simulated time per environment step
SUB_STEPS = 4
SOLVER_ITERATIONS = 5
CONTACT_ERP = 0.9
RESET_NOISE = 0.1  # joints start at uniform(-RESET_NOISE, RESET_NOISE), at rest

_CAMERA = (3, 0, -20)  # distance in m, yaw and pitch in degrees

_LOAD_FLAGS = (
    pybullet.URDF_USE_SELF_COLLISION
    | pybullet.URDF_USE_SELF_COLLISION_EXCLUDE_ALL_PARENTS
    | pybullet.MJCF_COLORS_FROM_FILE
)


class BulletEnv(gym.Env[np.ndarray, np.ndarray]):
    """A robot from `pybullet_data/mjcf` on a plane, driven by joint torques.

    Reproduces the `*MuJoCoEnv-v0` family of the archived pybullet-gym package (which needs a Gym
    that no longer installs) step by step. Subclasses say what is observed and what is rewarded.
    Unlike there, an episode depends on its start and actions alone: see `_renew_contacts`.

    Actions are float32 of shape (n_motors,) in [-1, 1]; the torque of a motor is
    `power * gear * clip(action, -1, 1)`. Observations are float32.

    :param render_mode: `"rgb_array"` draws in software, without a display; `"human"` opens
        Bullet's own window; None does not draw.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium declares it so)
        "render_modes": ["human", "rgb_array"],
        "render_fps": round(1 / TIME_STEP),
    }

    model: ClassVar[str]
    power: ClassVar[float]
    default_gear: ClassVar[float] = 100.0
    gears: ClassVar[Mapping[str, float]] = {}
    observation_size: ClassVar[int]
    contact_order: ClassVar[tuple[str, ...]]  # every link with a shape; see `_renew_contacts`
    self_collision: ClassVar[bool]  # what the model's `conaffinity` says
    image_size: ClassVar[tuple[int, int]] = (320, 240)  # width, height

    def __init__(self, render_mode: str | None = None) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            modes = ", ".join(self.metadata["render_modes"])
            raise ValueError(f"render_mode is {render_mode!r}; use one of {modes}, or None")
        self.render_mode = render_mode
        self._client = self._connect()
        self._load()
        self.action_space = spaces.Box(-1.0, 1.0, (len(self._motors),), np.float32)
        self.observation_space = spaces.Box(-np.inf, np.inf, (self.observation_size,), np.float32)

    # What a subclass defines, or may change.

    def _torques(self, action: np.ndarray) -> np.ndarray:
        """The motors' torques in N m, of shape (n_motors,), for an action within [-1, 1]."""
        return self._torque_scale * action

    def _observe(self) -> np.ndarray:
        """The observation, float32 of shape (observation_size,)."""
        raise NotImplementedError

    def _show_again(self, obs: np.ndarray) -> None:
        """Move the robot to where `_observe` sees `obs`, float64 of shape (observation_size,)."""
        raise NotImplementedError

    def _start_episode(self) -> None:
        """Remember what the reward of the first step is measured from."""
        raise NotImplementedError

    def _reward_and_terminated(self, action: np.ndarray, obs: np.ndarray) -> tuple[float, bool]:
        raise NotImplementedError

    # The Gymnasium API.

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode.

        :param options: `"joint_positions"`: array of shape (len(joint_names),) in rad (m for
            slides), in the order of `joint_names`, sets the start instead of drawing it.
            `"contact_order"`: for this episode, another order of the names in `contact_order`.
        :raises ValueError: if `joint_positions` has another shape or is not finite, if
            `contact_order` misses or repeats a link, or if an option has another name.
        """
        super().reset(seed=seed)
        options = options or {}
        unknown = options.keys() - {"joint_positions", "contact_order"}
        if unknown:
            raise ValueError(
                f"unknown reset options {sorted(unknown)}; use joint_positions, contact_order"
            )
        positions = options.get("joint_positions")
        if positions is None:
            n_joints = len(self.joint_names)
            positions = self.np_random.uniform(-RESET_NOISE, RESET_NOISE, n_joints)
        positions = self._checked_positions(positions)
        contact_order = self._checked_contact_order(options.get("contact_order"))
        self._begin(contact_order)
        self._set_joints(positions, np.zeros_like(positions))
        self._start_episode()
        return self._observe(), {}

    def start_from(self, obs: np.ndarray) -> np.ndarray:
        """Start an episode in the state that `obs` shows, and return what is observed there.

        What no observation shows is as after `reset`: the place on the ground, and the forces in
        the contacts. Beside the Gymnasium API; `reset` must have been called before.

        :param obs: of shape (observation_size,).
        """
        self._begin(self.contact_order)
        self._show_again(np.asarray(obs, dtype=np.float64))
        self._start_episode()
        return self._observe()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        action = np.asarray(action, dtype=np.float64)
        if not math.isfinite(action.sum()):
            raise ValueError(f"action is {action}; give finite torques in [-1, 1]")
        pybullet.setJointMotorControlArray(
            self._robot,
            self._motors,
            pybullet.TORQUE_CONTROL,
            forces=self._torques(np.clip(action, -1.0, 1.0)).tolist(),
            physicsClientId=self._client,
        )
        pybullet.stepSimulation(physicsClientId=self._client)
        obs = self._observe()
        reward, terminated = self._reward_and_terminated(action, obs)
        if self.render_mode == "human":
            self._show()
        return obs, reward, terminated, False, {}

    def render(self) -> np.ndarray | None:  # type: ignore[override]  # Gymnasium's is unbound
        """The camera's picture, uint8 of shape (height, width, 3); None in a window or undrawn."""
        if self.render_mode != "rgb_array":
            return None
        width, height = self.image_size
        distance, yaw, pitch = _CAMERA
        view = pybullet.computeViewMatrixFromYawPitchRoll(
            self._camera_target(), distance, yaw, pitch, roll=0, upAxisIndex=2
        )
        projection = pybullet.computeProjectionMatrixFOV(60, width / height, 0.1, 100.0)
        pixels = pybullet.getCameraImage(
            width,
            height,
            view,
            projection,
            renderer=pybullet.ER_TINY_RENDERER,
            physicsClientId=self._client,
        )[2]
        return np.asarray(pixels, dtype=np.uint8).reshape(height, width, 4)[:, :, :3]

    def close(self) -> None:
        """Free the physics server. Closing twice is harmless."""
        if self._client >= 0:
            pybullet.disconnect(physicsClientId=self._client)
            self._client = -1

    # Bullet.

    def _connect(self) -> int:
        if self.render_mode != "human":
            return int(pybullet.connect(pybullet.DIRECT))
        if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
            # Bullet would end the whole process instead of raising.
            raise RuntimeError(
                'render_mode="human" needs a display; use "rgb_array", or run under xvfb-run'
            )
        client = int(pybullet.connect(pybullet.GUI))
        # Only the picture, without Bullet's panels of settings around it.
        pybullet.configureDebugVisualizer(pybullet.COV_ENABLE_GUI, 0, physicsClientId=client)
        return client

    def _load(self) -> None:
        data = Path(pybullet_data.getDataPath())
        client = self._client
        # Bullet resolves a model's meshes and textures against its search path.
        pybullet.setAdditionalSearchPath(str(data), physicsClientId=client)
        pybullet.setGravity(0, 0, -GRAVITY, physicsClientId=client)
        pybullet.setDefaultContactERP(CONTACT_ERP, physicsClientId=client)
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=TIME_STEP,
            numSolverIterations=SOLVER_ITERATIONS,
            numSubSteps=SUB_STEPS,
            deterministicOverlappingPairs=1,
            physicsClientId=client,
        )
        (ground,) = pybullet.loadSDF(str(data / "plane_stadium.sdf"), physicsClientId=client)
        pybullet.changeDynamics(
            ground, -1, lateralFriction=0.8, restitution=0.5, physicsClientId=client
        )
        (self._robot,) = pybullet.loadMJCF(
            str(data / "mjcf" / self.model), flags=_LOAD_FLAGS, physicsClientId=client
        )
        self._name_joints_and_links()
        self._release_motors()
        self._initial_state = pybullet.saveState(physicsClientId=client)

    def _name_joints_and_links(self) -> None:
        infos = [
            pybullet.getJointInfo(self._robot, index, physicsClientId=self._client)
            for index in range(pybullet.getNumJoints(self._robot, physicsClientId=self._client))
        ]
        names = [info[1].decode() for info in infos]
        base = pybullet.getBodyInfo(self._robot, physicsClientId=self._client)[0].decode()
        self.links = {base: -1} | {info[12].decode(): info[0] for info in infos}
        self._joints = [i for i, name in enumerate(names) if not name.startswith("jointfix")]
        self.joint_names = [names[i] for i in self._joints]
        self.joint_limits = np.array([infos[i][8:10] for i in self._joints])
        # Joints named "ignore*" are the planar root: they are read and reset, but have no motor.
        self._motors = [i for i in self._joints if not names[i].startswith("ignore")]
        gears = [self.gears.get(names[i], self.default_gear) for i in self._motors]
        self._torque_scale = self.power * np.array(gears)

    def _release_motors(self) -> None:
        """Switch off the position motors with which Bullet holds every joint by default."""
        n_links = pybullet.getNumJoints(self._robot, physicsClientId=self._client)
        for joint in range(n_links):
            pybullet.setJointMotorControl2(
                self._robot,
                joint,
                pybullet.POSITION_CONTROL,
                positionGain=0.1,
                velocityGain=0.1,
                force=0,
                physicsClientId=self._client,
            )

    def _begin(self, contact_order: Sequence[str]) -> None:
        """The robot as it was loaded, at rest and without contacts."""
        pybullet.restoreState(self._initial_state, physicsClientId=self._client)
        self._renew_contacts(contact_order)

    def _set_joints(self, positions: np.ndarray, velocities: np.ndarray) -> None:
        """Both of shape (n_joints,)."""
        for joint, *state in zip(self._joints, positions, velocities, strict=True):
            pybullet.resetJointState(self._robot, joint, *state, physicsClientId=self._client)

    def _renew_contacts(self, order: Sequence[str]) -> None:
        """Forget all contacts, and have those to come solved in this order of the links.

        Bullet solves contacts one after another, and in 5 iterations the order shows in the
        result. By default it follows memory that Bullet's MJCF importer leaves uninitialised (a
        link's first pose), so that one start led to different episodes. Sorted pairs
        (`deterministicOverlappingPairs`) instead follow the age of the links' entries in the
        broad phase, and setting a filter, even to what it was, renews a link's entry.
        """
        mask = int(self.self_collision)
        for name in order:
            pybullet.setCollisionFilterGroupMask(
                self._robot, self.links[name], 1, mask, physicsClientId=self._client
            )

    def _checked_contact_order(self, order: Sequence[str] | None) -> Sequence[str]:
        if order is None:
            return self.contact_order
        if sorted(order) != sorted(self.contact_order):
            raise ValueError(
                f"contact_order is {list(order)}; give each of {', '.join(self.contact_order)} once"
            )
        return order

    def _checked_positions(self, positions: Sequence[float] | np.ndarray) -> np.ndarray:
        array = np.asarray(positions, dtype=np.float64)
        if array.shape != (len(self.joint_names),):
            raise ValueError(
                f"joint_positions has shape {array.shape}; this robot has "
                f"{len(self.joint_names)} joints: {', '.join(self.joint_names)}"
            )
        if not np.isfinite(array).all():
            raise ValueError("joint_positions holds NaN or infinity; give finite angles in rad")
        return array

    def _joint_states(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities of the joints, each float64 of shape (n_joints,)."""
        states = pybullet.getJointStates(self._robot, self._joints, physicsClientId=self._client)
        return np.array([s[0] for s in states]), np.array([s[1] for s in states])

    def _link_position(self, link: int) -> tuple[float, float, float]:
        return pybullet.getLinkState(self._robot, link, physicsClientId=self._client)[0]

    def _camera_target(self) -> tuple[float, float, float]:
        """The point the camera looks at."""
        raise NotImplementedError

    def _show(self) -> None:
        """Let the window's camera follow, at the pace of a clock on the wall."""
        pybullet.resetDebugVisualizerCamera(
            *_CAMERA, self._camera_target(), physicsClientId=self._client
        )
        time.sleep(TIME_STEP)
