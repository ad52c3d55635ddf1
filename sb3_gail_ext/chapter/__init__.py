"""The book chapter's components, *as printed* and *corrected*, for SB3 and ``imitation``.

Source: "Play Video Games with Generative AI: GAIL", chapter 12 of *Generative AI with Python and
TensorFlow 2*.
"""

from sb3_gail_ext.chapter.networks import ChapterDiscriminator, Variant
from sb3_gail_ext.chapter.objectives import (
    chapter_discriminator_loss_corrected,
    chapter_discriminator_loss_printed,
    chapter_ppo_loss,
    chapter_reward,
)
from sb3_gail_ext.chapter.optimiser import KerasAdam
from sb3_gail_ext.chapter.policy import ChapterActorCriticPolicy
from sb3_gail_ext.chapter.ppo import ChapterPPO
from sb3_gail_ext.chapter.registration import register_chapter_components
from sb3_gail_ext.chapter.settings import (
    CHAPTER_GAIL_PRESETS,
    CHAPTER_GENERATORS,
    CHAPTER_PPO_KWARGS,
    CHAPTER_PPO_KWARGS_CORRECTED,
    chapter_gail_kwargs,
)

__all__ = [
    "CHAPTER_GAIL_PRESETS",
    "CHAPTER_GENERATORS",
    "CHAPTER_PPO_KWARGS",
    "CHAPTER_PPO_KWARGS_CORRECTED",
    "ChapterActorCriticPolicy",
    "ChapterDiscriminator",
    "ChapterPPO",
    "KerasAdam",
    "Variant",
    "chapter_discriminator_loss_corrected",
    "chapter_discriminator_loss_printed",
    "chapter_gail_kwargs",
    "chapter_ppo_loss",
    "chapter_reward",
    "register_chapter_components",
]
