"""What a synthetic scene may look like: ranges from which every volume draws its own values.

The recipe is the one of AnyStar, DeepSynth and NISNet3D: randomise widely, keep the ground truth ideal, let the
optics come last. A pair `(low, high)` is a range; lengths are micrometres and brightness is relative to a typical
nucleus of 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from noyau.domain.errors import NotFound

Range = tuple[float, float]


@dataclass(frozen=True)
class SceneRanges:
    """Which nuclei there are and where.

    Attributes:
        arrangements: names from `arrangement.py`, one is drawn.
        diameter: mean diameter of the scene, micrometres (log-uniform).
        diameter_spread: relative standard deviation of the diameter within the scene.
        roundness: shortest over longest semi-axis of a nucleus.
        deformation: amplitude of the radius' smooth variation, as a fraction of the radius.
        density: fraction of the space that nuclei fill, used where neither count says otherwise.
        count: number of nuclei (log-uniform) for recipes that are about one specimen; None: by density.
        crowding: exponent by which the diameter falls with the count (cleavage divides a fixed volume).
        touching: fraction of nuclei that are moved into contact with their neighbour.
        mitotic, pyknotic: fractions of nuclei that are plates, or small, dense and bright.
        debris: unlabelled fragments per nucleus.
        outline, outline_axial: how far outside the surface the truth is drawn, in y/x and in z, in standard deviations
            of the point spread. Annotators outline what they see: a contour at a quarter of the light of a blurred
            edge lies 0.7 outside it, one at a tenth 1.3.
    """

    arrangements: tuple[str, ...] = ("lattice", "cluster", "scatter")
    diameter: Range = (8.0, 16.0)
    diameter_spread: Range = (0.05, 0.2)
    roundness: Range = (0.6, 1.0)
    deformation: Range = (0.01, 0.08)
    density: Range = (0.05, 0.3)
    count: tuple[int, int] | None = None
    crowding: float = 0.0
    touching: Range = (0.2, 0.6)
    mitotic: Range = (0.0, 0.08)
    pyknotic: Range = (0.0, 0.06)
    debris: Range = (0.0, 0.15)
    outline: Range = (0.0, 0.0)
    outline_axial: Range = (0.0, 0.0)


@dataclass(frozen=True)
class TextureRanges:
    """How bright a nucleus is and how its chromatin is spread.

    Attributes:
        brightness_spread: relative standard deviation of the brightness between nuclei.
        contrast: relative standard deviation of the multi-scale chromatin noise within a nucleus.
        grain: coarsest feature of that noise as a fraction of the radius.
        chromocentres: number per nucleus in scenes that have them.
        chromocentre_chance: fraction of scenes that have them.
        chromocentre_gain: their brightness above the nucleus.
        nucleoli: number of holes per nucleus.
        nucleolus_depth: how dark a hole is, 1 is empty.
        gap: how dark the seam between two touching nuclei is.
        edge: softness of the rim as a fraction of the radius.
    """

    brightness_spread: Range = (0.05, 0.4)
    contrast: Range = (0.05, 0.35)
    grain: Range = (0.3, 0.9)
    chromocentres: tuple[int, int] = (3, 15)
    chromocentre_chance: float = 0.4
    chromocentre_gain: Range = (0.3, 1.6)
    nucleoli: tuple[int, int] = (0, 4)
    nucleolus_depth: Range = (0.1, 0.7)
    gap: Range = (0.0, 0.7)
    edge: Range = (0.02, 0.15)


@dataclass(frozen=True)
class OpticsRanges:
    """How the microscope and the camera turn the scene into numbers.

    Attributes:
        background: uniform background, relative to a nucleus.
        haze: autofluorescent and out-of-focus glow, relative to a nucleus.
        bias: standard deviation of the logarithm of the uneven illumination.
        attenuation: fraction of the light lost over the whole depth.
        psf: standard deviation of the lateral point spread, micrometres (log-uniform).
        elongation: axial over lateral standard deviation.
        coarsest: largest axial standard deviation, as a fraction of the diameter; wins over the elongation.
        tail: share of the light in wide tails (a Gaussian three times as wide), growing with depth.
        defocus: fraction of nuclei out of focus, 2D only.
        photons: photons per voxel of a typical nucleus (log-uniform); sets the Poisson noise.
        read_noise: standard deviation of the read noise, in photons.
        multiplied: chance of an electron-multiplying camera, which doubles the variance of the photon noise.
        specks: bright single-voxel events per million voxels.
        resampled: chance that the image was smoothed after the noise (binning, denoising, compression).
        offset: camera offset, grey values of 16 bit.
        swing: grey values between the background and a typical nucleus, 16 bit (log-uniform).
        eight_bit: chance of an 8-bit image.
        z_subsampling: planes simulated for each one kept (bounds; the anisotropy of the voxel decides).
    """

    background: Range = (0.0, 0.15)
    haze: Range = (0.0, 0.15)
    bias: Range = (0.0, 0.25)
    attenuation: Range = (0.0, 0.6)
    psf: Range = (0.15, 0.6)
    elongation: Range = (1.5, 5.0)
    coarsest: float = 0.22
    tail: Range = (0.0, 0.3)
    defocus: Range = (0.0, 0.1)
    photons: Range = (8.0, 600.0)
    read_noise: Range = (0.2, 3.0)
    multiplied: float = 0.15
    specks: Range = (0.0, 10.0)
    resampled: float = 0.3
    offset: Range = (0.0, 400.0)
    swing: Range = (60.0, 4000.0)
    eight_bit: float = 0.25
    z_subsampling: tuple[int, int] = (1, 10)


@dataclass(frozen=True)
class Recipe:
    """A named set of ranges; `Recipe.embryo()`, `.tissue()`, `.culture_2d()` and `.wide()` are the presets."""

    name: str = "default"
    scene: SceneRanges = field(default_factory=SceneRanges)
    texture: TextureRanges = field(default_factory=TextureRanges)
    optics: OpticsRanges = field(default_factory=OpticsRanges)

    @staticmethod
    def embryo() -> Recipe:
        """A live mouse embryo with a histone marker: few round nuclei in a ball, dim, noisy, dimmer with depth.

        The lens sees them twice as long as they are wide, and so do those who annotate: compared with labelled
        embryos by the widths at half and at a quarter of the light, the outlines, the noise and the loss with depth.
        """
        scene = SceneRanges(
            arrangements=("ball",), diameter=(16.5, 21.5), diameter_spread=(0.05, 0.2), roundness=(0.6, 0.98),
            deformation=(0.01, 0.07), count=(1, 60), crowding=0.14, touching=(0.0, 0.3), mitotic=(0.0, 0.12),
            pyknotic=(0.0, 0.1), debris=(0.0, 0.1), outline=(0.3, 1.1), outline_axial=(0.9, 1.9),
        )  # fmt: skip
        texture = TextureRanges(
            brightness_spread=(0.1, 0.45), contrast=(0.1, 0.35), chromocentre_chance=0.2,
            chromocentre_gain=(0.2, 0.7), edge=(0.05, 0.2),
        )  # fmt: skip
        optics = OpticsRanges(
            background=(0.0, 0.03), haze=(0.01, 0.08), bias=(0.0, 0.1), attenuation=(0.4, 0.92), psf=(0.9, 1.7),
            elongation=(2.8, 5.0), coarsest=0.42, tail=(0.05, 0.35), photons=(30.0, 450.0), read_noise=(0.02, 0.8),
            specks=(0.0, 20.0), resampled=0.15, offset=(60.0, 140.0), swing=(250.0, 2500.0), eight_bit=0.0,
            multiplied=0.7,
        )  # fmt: skip
        return Recipe("embryo", scene, texture, optics)

    @staticmethod
    def tissue() -> Recipe:
        """Dense tissue or a spheroid: touching nuclei, light lost with depth, chromocentres."""
        scene = SceneRanges(
            arrangements=("lattice", "cluster"), diameter=(6.0, 13.0), roundness=(0.45, 1.0), deformation=(0.02, 0.1),
            density=(0.08, 0.35), touching=(0.3, 0.6), outline=(0.0, 0.6), outline_axial=(0.0, 1.2),
        )  # fmt: skip
        optics = OpticsRanges(attenuation=(0.1, 0.75), haze=(0.03, 0.2), psf=(0.15, 0.5))
        return Recipe("tissue", scene, TextureRanges(chromocentre_chance=0.6), optics)

    @staticmethod
    def culture_2d() -> Recipe:
        """A stained monolayer under a wide-field microscope, one plane."""
        scene = SceneRanges(
            arrangements=("lattice", "cluster", "scatter"), diameter=(7.0, 28.0), diameter_spread=(0.08, 0.3),
            roundness=(0.45, 1.0), deformation=(0.02, 0.15), density=(0.03, 0.35), touching=(0.1, 0.6),
            mitotic=(0.0, 0.1), pyknotic=(0.0, 0.1), debris=(0.0, 0.2),
        )  # fmt: skip
        texture = TextureRanges(brightness_spread=(0.1, 0.5), contrast=(0.03, 0.3), edge=(0.01, 0.08))
        optics = OpticsRanges(
            background=(0.0, 0.2), haze=(0.0, 0.25), attenuation=(0.0, 0.0), psf=(0.3, 1.2), photons=(20.0, 2000.0),
            tail=(0.0, 0.3), defocus=(0.0, 0.15), offset=(0.0, 300.0), swing=(100.0, 3000.0), eight_bit=0.5,
        )  # fmt: skip
        return Recipe("culture_2d", scene, texture, optics)

    @staticmethod
    def wide() -> Recipe:
        """Everything randomised, for a network that should see no domain twice."""
        scene = SceneRanges(
            arrangements=("lattice", "cluster", "scatter", "monolayer", "ball"), diameter=(5.0, 28.0),
            diameter_spread=(0.03, 0.35), roundness=(0.4, 1.0), deformation=(0.0, 0.15), density=(0.02, 0.32),
            touching=(0.2, 0.6), mitotic=(0.0, 0.15), pyknotic=(0.0, 0.12), debris=(0.0, 0.3), outline=(0.0, 0.6),
            outline_axial=(0.0, 1.2),
        )  # fmt: skip
        texture = TextureRanges(
            brightness_spread=(0.03, 0.6), contrast=(0.0, 0.5), grain=(0.2, 1.2), chromocentre_gain=(0.2, 2.5),
            nucleoli=(0, 6), nucleolus_depth=(0.0, 0.9), gap=(0.0, 0.9), edge=(0.01, 0.25),
        )  # fmt: skip
        optics = OpticsRanges(
            background=(0.0, 0.3), haze=(0.0, 0.25), bias=(0.0, 0.4), attenuation=(0.0, 0.75), psf=(0.1, 1.3),
            elongation=(1.0, 6.0), tail=(0.0, 0.45), defocus=(0.0, 0.2), photons=(6.0, 2000.0), read_noise=(0.0, 6.0),
            specks=(0.0, 50.0), offset=(0.0, 2500.0), swing=(40.0, 12000.0), eight_bit=0.3,
        )  # fmt: skip
        return Recipe("wide", scene, texture, optics)

    def with_scene(self, **changes: object) -> Recipe:
        """The same recipe with some scene ranges replaced."""
        return replace(self, scene=replace(self.scene, **changes))  # type: ignore[arg-type]


def recipe_names() -> tuple[str, ...]:
    """Names that `recipe_named` knows."""
    return ("embryo", "tissue", "culture_2d", "wide")


def recipe_named(name: str) -> Recipe:
    """The preset of that name.

    Raises:
        NotFound: there is no such preset; the message lists them.
    """
    if name not in recipe_names():
        raise NotFound(f"There is no synthetic recipe '{name}'.", f"Known recipes: {', '.join(recipe_names())}.")
    preset: Recipe = getattr(Recipe, name)()
    return preset
