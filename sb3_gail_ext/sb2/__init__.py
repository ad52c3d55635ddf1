"""Stable-Baselines 2's imitation learning under its old names: change the imports, keep the script.

What is where, and what behaves differently: docs/migration.md. New scripts are better off with
`sb3_gail_ext.GAIL`, `load_demonstrations`, `record_demonstrations` and `BC`.
"""

from sb3_gail_ext.sb2.dataset import ExpertDataset
from sb3_gail_ext.sb2.gail import GAIL
from sb3_gail_ext.sb2.pretraining import pretrain
from sb3_gail_ext.sb2.recording import generate_expert_traj

__all__ = ["GAIL", "ExpertDataset", "generate_expert_traj", "pretrain"]
