"""The losses of DAI-Net, each a pure function with a thin registered module below it."""

from .coherence import RedecompositionCoherenceLoss, redecomposition_coherence
from .mutual_alignment import MutualAlignmentLoss, mutual_alignment
from .reflectance import DecompositionLoss, ReflectanceConsistencyLoss, decomposition_loss, reflectance_consistency
from .retinex import IlluminationSmoothnessLoss, ReconstructionLoss, illumination_smoothness, reconstruction_loss
from .structural_similarity import ssim_loss

__all__ = [
    'DecompositionLoss',
    'IlluminationSmoothnessLoss',
    'MutualAlignmentLoss',
    'ReconstructionLoss',
    'RedecompositionCoherenceLoss',
    'ReflectanceConsistencyLoss',
    'decomposition_loss',
    'illumination_smoothness',
    'mutual_alignment',
    'reconstruction_loss',
    'redecomposition_coherence',
    'reflectance_consistency',
    'ssim_loss',
]
