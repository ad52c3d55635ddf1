"""Robots that move in the x-z plane: Hopper, Walker2D and HalfCheetah."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sb3_gail_ext.envs.bullet_env import TIME_STEP, BulletEnv

_MAX_SPEED = 10.0  # observed joint velocities are clipped to +-10, as in MuJoCo's Hopper


class PlanarEnv(BulletEnv):
    """Rewarded for the torso's forward velocity.

    Observation: joint positions without the root's x, then joint velocities.
    """

    control_cost: ClassVar[float]
    alive_bonus: ClassVar[float] = 0.0
    clip_velocity: ClassVar[bool] = True

    def _observe(self) -> np.ndarray:
        positions, velocities = self._joint_states()
        if self.clip_velocity:
            velocities = np.clip(velocities, -_MAX_SPEED, _MAX_SPEED)
        return np.concatenate([positions[1:], velocities]).astype(np.float32)

    def _show_again(self, obs: np.ndarray) -> None:
        positions, velocities = np.split(np.concatenate([[0.0], obs]), 2)
        self._set_joints(positions, velocities)

    def _start_episode(self) -> None:
        self._torso_x = self._camera_target()[0]

    def _reward_and_terminated(self, action: np.ndarray, obs: np.ndarray) -> tuple[float, bool]:
        torso_x = self._camera_target()[0]
        velocity = (torso_x - self._torso_x) / TIME_STEP
        self._torso_x = torso_x
        reward = velocity + self.alive_bonus - self.control_cost * float(action @ action)
        return reward, not self._healthy(obs)

    def _healthy(self, obs: np.ndarray) -> bool:
        raise NotImplementedError

    def _camera_target(self) -> tuple[float, float, float]:
        return self._link_position(self.links["torso"])


def _bounded(obs: np.ndarray) -> bool:
    """Whether everything but height and angle is below 100 in size (NaN is not)."""
    return bool((np.abs(obs[2:]) < 100).all())


class HopperEnv(PlanarEnv):
    """`HopperMuJoCoEnv-v0`: one leg, 11 observations, 3 actions."""

    model = "hopper.xml"
    self_collision = True
    contact_order = ("torso", "thigh", "leg", "foot")
    power = 0.75
    observation_size = 11
    control_cost = 1e-3
    alive_bonus = 1.0

    def _healthy(self, obs: np.ndarray) -> bool:
        height, angle = obs[0], obs[1]  # height is measured from the upright start, 0
        return bool(height > -0.3 and abs(angle) < 0.2) and _bounded(obs)


class Walker2DEnv(PlanarEnv):
    """`Walker2DMuJoCoEnv-v0`: two legs, 17 observations, 6 actions."""

    model = "walker2d.xml"
    self_collision = False
    # One of the orders in which the original happened to solve contacts; so are those below.
    contact_order = ("torso", "thigh_left", "leg_left", "foot_left", "thigh", "leg", "foot")
    power = 0.4
    gears: ClassVar = {"foot_joint": 30.0, "foot_left_joint": 30.0}
    observation_size = 17
    control_cost = 1e-3
    alive_bonus = 1.0

    def _healthy(self, obs: np.ndarray) -> bool:
        height, angle = obs[0], obs[1]
        return bool(-0.2 < height < 1.0 and abs(angle) < 1.0) and _bounded(obs)


class HalfCheetahEnv(PlanarEnv):
    """`HalfCheetahMuJoCoEnv-v0`: 17 observations, 6 actions, never terminates."""

    model = "half_cheetah.xml"
    self_collision = False
    contact_order = ("bfoot", "bshin", "fthigh", "bthigh", "fshin", "ffoot", "torso")
    power = 1.0
    gears: ClassVar = {
        "bthigh": 120.0,
        "bshin": 90.0,
        "bfoot": 60.0,
        "fthigh": 140.0,
        "fshin": 60.0,
        "ffoot": 30.0,
    }
    observation_size = 17
    control_cost = 0.1
    clip_velocity = False

    def _healthy(self, obs: np.ndarray) -> bool:
        return True
