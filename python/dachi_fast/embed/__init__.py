"""Texts to vectors, and what a similarity means."""

from dachi_fast.embed._calibration import Calibration as Calibration
from dachi_fast.embed._calibration import calibrate as calibrate
from dachi_fast.embed._callable import CallableEmbedder as CallableEmbedder
from dachi_fast.embed._hashing import HashingEmbedder as HashingEmbedder
from dachi_fast.embed._static import StaticEmbedder as StaticEmbedder
