"""Random cloud fields: noise of known spectra, organised as the four patterns are, as bright as real ones.

Lengths are in units of 4.4 km: a scene of 21 degrees is 525 units wide, and a pixel of the grid on which the
contest is scored is one unit. `python -m experiments.textures DATA` prints brightness and power spectra of
real areas beside those of areas drawn here, from which the figures below were chosen.

Sources: Stevens et al. 2020, Sugar, gravel, fish and flowers, doi:10.1002/qj.3662 (sizes and spacings);
Lovejoy and Schertzer 2013, The Weather and Climate, doi:10.1017/CBO9781139093811 (power-law spectra).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.types import GridShape

Field = NDArray[np.float32]

_RESOLVED = 0.5  # cycles per unit, the finest waves of a picture of 525 px; fields have deviation 1 up to it
_BLUR = 1.2  # units; the instrument's pixels and the pictures' resampling take the finest waves away
_SMOOTH = 4.0  # units; fields without finer waves are drawn on a coarser grid


@dataclass(frozen=True, eq=False)
class Noise:
    """Gaussian random fields of mean 0 and deviation 1, shape (height, width).

    Attributes:
        rng: source of randomness.
        shape: height and width in pixels.
        unit: pixels per unit of length.
        wind: direction along which fields are stretched, radians from the parallels.
    """

    rng: np.random.Generator
    shape: GridShape
    unit: float
    wind: float

    def power_law(self, slope: float, longest: float, *, stretch: float = 1.0, smooth: bool = False) -> Field:
        """Noise with the spectral density k**-slope (along a line), flat for waves above `longest` units.

        Args:
            slope: exponent of the density.
            longest: wavelength in units.
            stretch: ratio of lengths along and across the wind.
            smooth: leave out waves of a few units and less; quicker.
        """
        return self._draw(
            lambda k: (k**2 + longest**-2) ** (-(slope + 1) / 4) * np.exp(-((k * _BLUR) ** 2) / 2),
            smooth, stretch, 0.0,
        )  # fmt: skip

    def waves(self, length: float, spread: float, *, stretch: float = 1.0, turned: float = 0.0) -> Field:
        """Noise of wavelengths about one length.

        Args:
            length: wavelength in units.
            spread: standard deviation of the logarithm of the wavelength.
            stretch: ratio of lengths along and across the wind.
            turned: angle between that direction and the wind, in radians.
        """
        return self._draw(
            lambda k: np.exp(-((np.log(np.maximum(k, 1e-6) * length) / spread) ** 2) / 2),
            length >= 3 * _SMOOTH, stretch, turned,
        )  # fmt: skip

    def _draw(
        self, amplitude: Callable[[Field], Field], smooth: bool, stretch: float, turned: float
    ) -> Field:
        """Noise whose waves have an amplitude by wave number, in cycles per unit."""
        step = max(1, int(_SMOOTH * self.unit / 2)) if smooth else 1
        rows, columns = (-(-length // step) for length in self.shape)
        # A field is periodic; cutting a seventh off keeps its edges from matching each other.
        height, width = (cv2.getOptimalDFTSize(length + length // 6 + 1) for length in (rows, columns))
        scale = step / self.unit
        down = np.fft.fftfreq(height, scale).astype(np.float32)[:, None]
        right = np.fft.rfftfreq(width, scale).astype(np.float32)[None]
        angle = np.float32(self.wind + turned)
        along = right * np.cos(angle) + down * np.sin(angle)
        across = down * np.cos(angle) - right * np.sin(angle)
        waves = np.asarray(amplitude(np.hypot(along * np.float32(stretch), across)), np.float32)
        waves[0, 0] = 0
        resolved = np.where(np.hypot(down, right) <= _RESOLVED, waves, 0)
        deviation = 2 * np.sqrt(np.square(resolved, dtype=np.float64).sum()) / (height * width)
        if not deviation:  # the grid is too coarse for waves of this length
            return np.zeros(self.shape, np.float32)
        random = self.rng.standard_normal((2, *waves.shape), np.float32)
        field = np.fft.irfft2(waves * (random[0] + 1j * random[1]), (height, width)) / deviation
        whole = np.ascontiguousarray(field[:rows, :columns], np.float32)
        return _float32(cv2.resize(whole, self.shape[::-1], interpolation=cv2.INTER_CUBIC))


QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class Texture:
    """Clouds of one kind.

    Attributes:
        organise: draws a field that is high where cloud is thick.
        cover: share of the area with any cloud; the rest is haze.
        brightness: mean of red, green and blue at `QUANTILES` of the area, 0 to 255; medians over real
            areas but for the ends.
    """

    organise: Callable[[Noise], Field]
    cover: float
    brightness: tuple[float, ...]

    def draw(self, noise: Noise) -> Field:
        """Brightness of an area, 0 to 255."""
        large = noise.power_law(3, 150, smooth=True)
        field = _standard(self.organise(noise)) + 0.35 * large
        (edge,) = _quantiles(field, noise.unit, (1 - self.cover,))
        cloud = np.maximum(field - edge, 0) / field.std()
        amount = cloud + 0.07 * noise.power_law(3.0, 120, smooth=True)
        steps = _quantiles(amount, noise.unit, QUANTILES)
        return _float32(np.interp(amount, steps, self.brightness))


def _quantiles(field: Field, unit: float, shares: tuple[float, ...]) -> NDArray[np.float64]:
    """Quantiles of a field as a picture of 525 px shows it."""
    step = max(1, round(unit))
    size = (max(1, field.shape[1] // step), max(1, field.shape[0] // step))
    return np.asarray(np.quantile(cv2.resize(field, size, interpolation=cv2.INTER_AREA), shares))


def _bend(field: Field, noise: Noise) -> Field:
    """Displace a field by a few units, so that nothing in it is straight."""
    rows, columns = np.mgrid[: noise.shape[0], : noise.shape[1]].astype(np.float32)
    down, right = (noise.unit * (1.2 * noise.waves(60, 0.2) + 6 * noise.waves(160, 0.2)) for _ in range(2))
    return _float32(
        cv2.remap(field, columns + right, rows + down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    )


def _gate(field: Field, steepness: float, middle: float = 0.0) -> Field:
    """From 0 where a field is low to 1 where it is high; by deviations from its mean."""
    return _float32(1 / (1 + np.exp(-steepness * (_standard(field) - middle))))


def _standard(field: Field) -> Field:
    return _float32((field - field.mean()) / (field.std() + 1e-6))


def _float32(field: NDArray[Any] | cv2.typing.MatLike) -> Field:
    return np.asarray(field, np.float32)


def _sugar(noise: Noise) -> Field:
    """Dust: tiny clouds in faint streets along the wind, none of them large."""
    streets = 0.5 * noise.waves(10, 0.4, stretch=3.5)
    streets += 0.5 * noise.power_law(2.5, 60, stretch=1.5, smooth=True)
    streets = _bend(streets, noise)
    dots = noise.power_law(0.7, 7, stretch=1.3)
    return _float32(streets + 0.7 * np.maximum(dots, -0.4) * _gate(streets, 1.8, -0.7))


def _gravel(noise: Noise) -> Field:
    """Granular clouds on the rims of cells of 20 to 100 km, where cold pools end."""
    rims = np.exp(-((_bend(noise.waves(39, 0.3), noise) / 0.4) ** 2))
    large = noise.power_law(2.5, 60, smooth=True)
    cells = 0.76 * rims * (0.4 + 0.6 * _gate(large, 2)) + 0.24 * large
    grains = noise.power_law(0.9, 19)
    return _float32(cells + 1.86 * np.maximum(grains, -0.6) * _gate(cells, 2))


def _flower(noise: Noise) -> Field:
    """Clumps of stratiform cloud, regularly spaced, with clear sky between."""
    clumps = 0.63 * _bend(noise.waves(30, 0.3), noise) + 0.6 * noise.power_law(2.1, 33)
    return _billows(clumps, 0.9 * noise.power_law(1.9, 10))


def _fish(noise: Noise) -> Field:
    """Bands of cloud some hundred kilometres wide with ribs across, and clear lanes between."""
    bands = 3.4 * noise.waves(47, 0.14, stretch=5.5) + 0.4 * noise.power_law(2.1, 10, stretch=1.2)
    bands = _bend(_standard(bands), noise)
    ribs = 1.3 - 1.6 * np.abs(noise.waves(4.6, 0.4, stretch=2, turned=1.2))
    return _billows(_float32(bands + 0.31 * ribs * _gate(bands, 2)), 1.2 * noise.power_law(2.8, 10))


def _scattered(noise: Noise) -> Field:
    """Clouds of no pattern."""
    large = noise.power_law(2.5, 80, smooth=True)
    return _float32(large + 1.3 * np.maximum(noise.power_law(1.3, 10), -0.7) * _gate(large, 2, 0.5))


def _billows(field: Field, fine: Field) -> Field:
    """Fine texture where a field holds clouds, little of it over open sea."""
    return _standard(field) + fine * (0.03 + _gate(field, 2.5, 0.2))


TEXTURES = {
    "Fish": Texture(_fish, 0.55, (6, 14, 19, 28, 47, 97, 166, 194, 225, 252)),
    "Flower": Texture(_flower, 0.6, (6, 16, 21, 30, 50, 98, 159, 189, 223, 252)),
    "Gravel": Texture(_gravel, 0.6, (6, 13, 19, 28, 43, 70, 116, 151, 204, 252)),
    "Sugar": Texture(_sugar, 0.85, (6, 15, 21, 30, 41, 60, 93, 116, 177, 245)),
}
"""Of the default patterns, by name."""

SCATTERED = Texture(_scattered, 0.5, (8, 13, 17, 22, 29, 40, 62, 86, 140, 230))
"""Clouds around them, darker than real ones so that the patterns stand out."""
