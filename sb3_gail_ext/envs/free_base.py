"""Robots with a free-floating torso, rewarded for nearing a far target: Ant and Humanoid."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pybullet

from sb3_gail_ext.envs.bullet_env import TIME_STEP, BulletEnv

_TARGET = np.array([1e3, 0.0])  # a kilometre ahead
_JOINT_LIMIT_COST = 0.1


class FreeBaseEnv(BulletEnv):
    """Rewarded for the velocity towards a far target.

    Observation: torso height and quaternion, joint positions, torso velocities, joint
    velocities; the rest, contact forces in MuJoCo, is zero here as in the original.
    """

    alive_bonus: ClassVar[float]
    min_torso_height: ClassVar[float]

    def _observe(self) -> np.ndarray:
        position, quaternion = self._torso_pose()
        linear, angular = pybullet.getBaseVelocity(self._robot, physicsClientId=self._client)
        self._angles, velocities = self._joint_states()
        obs = np.zeros(self.observation_size, np.float32)
        known = (position[2:], quaternion, self._angles, linear, angular, velocities)
        n_known = sum(len(part) for part in known)
        np.concatenate(known, out=obs[:n_known], casting="same_kind")
        return obs

    def _show_again(self, obs: np.ndarray) -> None:
        n_joints = len(self.joint_names)
        height, quaternion, angles, linear, angular, velocities, _ = np.split(
            obs, np.cumsum([1, 4, n_joints, 3, 3, n_joints])
        )
        self._set_joints(angles, velocities)
        place = (*self._torso_pose()[0][:2], *height)
        pybullet.resetBasePositionAndOrientation(
            self._robot, place, quaternion, physicsClientId=self._client
        )
        pybullet.resetBaseVelocity(self._robot, linear, angular, physicsClientId=self._client)

    def _start_episode(self) -> None:
        self._potential = self._progress(fixed_parts=0)

    def _reward_and_terminated(self, action: np.ndarray, obs: np.ndarray) -> tuple[float, bool]:
        alive = obs[0] > self.min_torso_height
        potential = self._progress()
        progress = potential - self._potential
        self._potential = potential
        low, high = self.joint_limits.T
        relative = 2 * (self._angles - 0.5 * (low + high)) / (high - low)
        joints_at_limit = int((np.abs(relative) > 0.99).sum())
        reward = (self.alive_bonus if alive else -1.0) + progress
        return reward - _JOINT_LIMIT_COST * joints_at_limit, not (alive and np.isfinite(obs).all())

    def _progress(self, fixed_parts: int = 1) -> float:
        """Minus the distance from the mean of all parts to the target, per time step.

        :param fixed_parts: how many parts at the origin are averaged with the robot's own: the
            original takes the floor for a part of the robot, though not yet at the first reset.
        """
        links = [link for link in self.links.values() if link >= 0]  # -1 is the torso itself
        states = pybullet.getLinkStates(self._robot, links, physicsClientId=self._client)
        parts = [self._torso_pose()[0][:2], *(state[0][:2] for state in states)]
        centre = np.sum(parts, axis=0) / (len(parts) + fixed_parts)
        return -float(np.linalg.norm(_TARGET - centre)) / TIME_STEP

    def _torso_pose(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return pybullet.getBasePositionAndOrientation(self._robot, physicsClientId=self._client)

    def _camera_target(self) -> tuple[float, float, float]:
        x, y, z = self._torso_pose()[0]
        return x, y, z


class AntEnv(FreeBaseEnv):
    """`AntMuJoCoEnv-v0`: four legs, 111 observations, 8 actions."""

    model = "ant.xml"
    self_collision = False
    # One of the orders in which the original happened to solve contacts.
    contact_order = (
        "left_back_foot",
        "front_right_foot",
        "torso",
        "front_left_leg",
        "aux_1",
        "front_right_leg",
        "aux_2",
        "left_back_leg",
        "aux_3",
        "right_back_leg",
        "aux_4",
        "front_left_foot",
        "right_back_foot",
    )
    power = 2.5
    observation_size = 111
    alive_bonus = 1.0
    # The original adds the initial height, 0.75, before comparing with 0.26: no fall ends it.
    min_torso_height = -0.49


class HumanoidEnv(FreeBaseEnv):
    """`HumanoidMuJoCoEnv-v0`: 376 observations, 17 actions."""

    model = "humanoid_symmetric.xml"
    self_collision = True
    contact_order = (
        "torso",
        "lwaist",
        "pelvis",
        "right_thigh",
        "right_shin",
        "right_foot",
        "left_thigh",
        "left_shin",
        "left_foot",
        "right_upper_arm",
        "right_lower_arm",
        "left_upper_arm",
        "left_lower_arm",
    )
    power = 0.41
    gears: ClassVar = {
        "right_hip_y": 300.0,
        "left_hip_y": 300.0,
        "right_knee": 200.0,
        "left_knee": 200.0,
        "right_shoulder1": 75.0,
        "right_shoulder2": 75.0,
        "right_elbow": 75.0,
        "left_shoulder1": 75.0,
        "left_shoulder2": 75.0,
        "left_elbow": 75.0,
    }
    observation_size = 376
    alive_bonus = 2.0
    # The original adds 0.8 to the height before comparing it with 0.78: lying down is "alive".
    min_torso_height = -0.02

    def _torques(self, action: np.ndarray) -> np.ndarray:
        # The original multiplies in float32 here, and only here; rounding decides how it falls.
        return self._torque_scale.astype(np.float32) * action.astype(np.float32)
