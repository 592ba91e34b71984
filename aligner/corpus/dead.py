"""Dead sound: where a recording holds nothing, because a recorder, a gate or a cut put nothing there.

Digital silence, a constant, dither of one step, and what a codec makes of them are no sound of any room.  A
model that was never shown such frames takes them for anything at all, and they shift whatever is normalised
by the whole recording.  So long stretches are left out of what is heard (see `aligner.corpus.cuts`), and what
stays of them is filled with the recording's own background.

A gate shuts where its owner liked.  So whatever is much softer than the speech around it is hushed: heard as
that background, too, whether a gate was there or not.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from aligner.corpus.cuts import Cut, Cuts
from aligner.corpus.listening import weighted_median

BLOCKS_A_SECOND = 200  # in which the recording is looked at
LEAST_BLOCKS = 3  # constant blocks in a row that are dead, at least
LEAST_FAINT_BLOCKS = (
    20  # the same of blocks that are not constant but faint: some rooms are as quiet at times
)
LOUD_BLOCKS, LOUD_SHARE = 60, 0.1  # the loudest blocks, or this share of few, that the level is counted from
DEAD_LEVEL = 10 ** (-70 / 20)  # of the swing of the loud, below which nothing is heard
STEP = 2.0**-15  # of 16 bits
DITHER_SWING = 2.1 * STEP  # a swing from -1 to 1 step
DITHER_LEVEL = 10 ** (-40 / 20)  # of the swing of the loud, below which such a swing is dead
TONE_LEVEL = 10 ** (-45 / 20)  # of the swing of the loud, below which a tone or hum is dead
TONE_BLOCKS = 8  # that a period of a hum lies in, so that the swing over them stays the same
TONE_SHARE = 0.01  # of a tone's swing, by which it changes at most
LEAST_TONE_BLOCKS = 100  # blocks in a row of a tone or hum, at least: the swing of noise changes by then
SLOPE_BLOCKS = 11  # blocks that the slope of a slow drift is taken over; their 55 ms are a period of 20 Hz
LEAST_OFFSET = 0.03  # of the swing of the loud, from which a constant under all sound is taken out
HUSH_LEVEL = 10 ** (-36 / 20)  # of the loud around, below which nothing is heard of what lasts so long:
HUSH_STEP, LEAST_HUSH_STEPS = 0.01, 5  # s in which a level is measured at once, and so many of them
SMOOTH_STEPS = 5  # steps over which the level of the loud is taken: a click is not loud
AROUND_STEPS = 100  # steps on either side that the loud around is looked for in
LONGEST_CLICK = 0.002  # s between two dead stretches that count as one
KEPT_REST = 0.4  # s of a dead stretch that are heard between live ones
CUT_STEP = 0.02  # s; what is cut out is a multiple, so that windows fall where they would have fallen
EXACT_SECONDS = 0.25  # s from which a constant before the first sound was put there, and is cut to the sample
SPEECH_LEVEL = 10 ** (-30 / 20)  # of the loud (its swing, or its level), above which there is speech
LEAST_CUT = 0.1  # s of what is cut out at either end, at least: a bit of silence is filled
LEAST_EDGE = 0.06  # s of background that stand before the first speech and behind the last
WINDOW, WINDOW_STEP = 0.016, 0.01  # s in which the background is looked at, the same ones after a `CUT_STEP`
MOST_WINDOWS = 4096  # live windows that are looked at; of more, some
BACKGROUND_SHARE = 0.02  # of the live windows, the quietest, that are the background
MOST_BACKGROUND = 10 ** (-42 / 20)  # of the loud, that a background has at most: it is hushed itself
NOISE = 0.4  # s of background that are made, and repeated, so that more or less to fill changes none of it
DECAY = 0.001  # s in which a wave that was cut off falls to the background
MEAN_SECONDS = 0.01  # s over which the offset beside a dead stretch is taken


class Lively(NamedTuple):
    """A recording without its dead sound."""

    samples: np.ndarray
    """(M,) what is to be heard."""
    cuts: Cuts
    """What was left out."""
    stretches: np.ndarray
    """(L, 2) int64: the first sample, and the last + 1, of each live stretch of the recording as it was."""

    @classmethod
    def whole(cls, samples: np.ndarray) -> Lively:
        """A recording (N,) of which all is to be heard as it is."""
        return cls(samples, Cuts(), np.array([[0, len(samples)]]))

    def live(self, samples: np.ndarray) -> np.ndarray:
        """What is live of the recording (N,) as it was."""
        if len(self.stretches) == 1:
            return samples[slice(*self.stretches[0].tolist())]
        return np.concatenate([samples[a:b] for a, b in self.stretches.tolist()])


def lively(samples: np.ndarray, rate: int, *, cut: bool = True) -> Lively:
    """A recording (N,) without its dead sound: long stretches are left out, short ones are filled.

    Where nothing is dead the samples are those that were given.  Where all is, no stretch is live.

    Parameters
    ----------
    samples : ndarray
        (N,)
    rate : int
        Samples a second.
    cut : bool
        Whether long stretches are left out; unless so, all are filled, and the recording stays as long as it
        is.

    Examples
    --------
    >>> wave = np.random.default_rng(0).standard_normal(16000)
    >>> heard = lively(np.concatenate([np.zeros(32000), wave, np.zeros(8000)]), 16000)
    >>> len(heard.samples) / 16000, [part.seconds for part in heard.cuts.parts]
    (1.12, [1.94, 0.44])
    """
    swings = swings_of(samples, rate)
    loud = loud_swing(swings)
    flat = _without_drift(samples, rate, swings, DEAD_LEVEL * loud)
    if flat is not samples:
        swings = swings_of(flat, rate)
    dithered = bool((swings <= DITHER_SWING).any()) and in_steps(samples)
    dead = _dead_stretches(flat, rate, loud, swings, DITHER_SWING if dithered else 0.0)
    exact = _put_there(samples, dead, rate)
    live = _between(dead, len(samples))
    if not len(live):
        return Lively(samples, Cuts(), live)
    samples = _without_offset(samples, live, LEAST_OFFSET * loud)
    if not len(dead):
        return Lively.whole(samples)
    removed = _removed(samples, dead, exact, rate, live, loud) if cut else dead[:, :1] + np.zeros(2, np.int64)
    kept = np.concatenate([samples[a:b] for a, b in _between(removed, len(samples))])
    rests = dead - _before(removed, dead)
    cuts = [
        Cut((b - a) / rate, first / rate, last / rate)
        for (a, b), (first, last) in zip(removed.tolist(), rests.tolist(), strict=True)
        if b > a
    ]
    return Lively(filled(kept, rests, samples, live, rate), Cuts(tuple(cuts)), live)


def hushed(samples: np.ndarray, rate: int) -> np.ndarray:
    """A recording (N,) with its background wherever speech is around that is much louder.

    So a recording that went through a gate is heard as it would have been before.

    Examples
    --------
    >>> wave = np.random.default_rng(0).standard_normal(16000)
    >>> wave[4000:12000] /= 1000
    >>> gated = wave.copy()
    >>> gated[4000:12000] = 0
    >>> bool(np.allclose(hushed(wave, 16000), hushed(gated, 16000), atol=0.001))
    True
    """
    rests = hush(samples, rate)
    return filled(samples, rests, samples, _between(rests, len(samples)), rate)


def hush(samples: np.ndarray, rate: int) -> np.ndarray:
    """The stretches (K, 2) of a recording (N,) around which speech is that is much louder.

    It is compared with the loud of the second on either side, for of two speakers one may be further from the
    microphone.

    Examples
    --------
    >>> wave = np.random.default_rng(0).standard_normal(16000)
    >>> wave[4000:12000] /= 1000
    >>> hush(wave, 16000).tolist()
    [[4000, 12000]]
    """
    levels, usual = levels_of(samples, rate)
    if len(levels) < LEAST_HUSH_STEPS:
        return np.zeros((0, 2), np.int64)
    smooth = np.sqrt(np.convolve(np.square(levels), np.full(SMOOTH_STEPS, 1 / SMOOTH_STEPS), "same"))
    padded = np.pad(smooth, AROUND_STEPS)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND_STEPS + 1).max(1)
    spoken = np.flatnonzero(smooth > SPEECH_LEVEL * usual)
    if len(spoken):
        around[: spoken[0]], around[spoken[-1] :] = around[spoken[0]], around[spoken[-1]]
    quiet = _runs(levels < HUSH_LEVEL * np.minimum(around, usual))
    found: np.ndarray = round(HUSH_STEP * rate) * quiet[quiet[:, 1] - quiet[:, 0] >= LEAST_HUSH_STEPS]
    return found


def levels_of(samples: np.ndarray, rate: int) -> tuple[np.ndarray, float]:
    """The level in each step (T,) of a recording (N,), and that of the loud: half of the power lies above it.

    Minutes of a room weigh nothing there.
    """
    size = max(round(HUSH_STEP * rate), 1)
    steps = samples[: len(samples) // size * size].reshape(-1, size)
    means, squares = (  # without a copy of hours in float64
        np.einsum(how, *[steps] * times, dtype=np.float64, casting="same_kind") / size
        for how, times in (("ij->i", 1), ("ij,ij->i", 2))
    )
    powers = np.maximum(squares - np.square(means), 0.0)
    levels = np.sqrt(powers)
    return levels, weighted_median(levels, powers) if len(levels) else 0.0


def is_dead(samples: np.ndarray, rate: int) -> bool:
    """Whether all of a recording (N,) is dead."""
    swings = swings_of(samples, rate)
    return not len(swings) or bool((swings <= DITHER_SWING).all())


def swings_of(samples: np.ndarray, rate: int) -> np.ndarray:
    """Greatest less least sample in each block (T,)."""
    size = max(rate // BLOCKS_A_SECOND, 1)
    whole = samples[: len(samples) // size * size]
    begins = np.arange(0, len(whole), size)  # a fifth of the time that the rows of (T, size) take
    found: np.ndarray = np.maximum.reduceat(whole, begins) - np.minimum.reduceat(whole, begins)
    return found


def loud_swing(swings: np.ndarray) -> float:
    """The swing of the loud blocks: what the loudest have at least."""
    count = max(1, min(LOUD_BLOCKS, round(LOUD_SHARE * len(swings))))
    return float(np.partition(swings, -count)[-count]) if len(swings) else 0.0


def _dead_stretches(
    samples: np.ndarray, rate: int, loud: float, swings: np.ndarray, dither: float
) -> np.ndarray:
    """First sample, and last + 1, of each dead stretch, (K, 2) int64."""
    most = max(DEAD_LEVEL * loud, dither if DITHER_LEVEL * loud > dither else 0.0)
    size, dead = max(rate // BLOCKS_A_SECOND, 1), (swings <= most) | _tones(samples, rate, swings, loud)
    if not dead.any():
        return np.zeros((0, 2), np.int64)
    found: list[tuple[int, int]] = []
    for first, last in _runs(dead):
        constant = int((swings[first:last] == 0).sum())
        if last - first < LEAST_FAINT_BLOCKS and constant < max(LEAST_BLOCKS, (last - first) / 2):
            continue
        a, b = _constant_part(samples, *_to_the_sample(samples, first * size, last * size, size), size)
        if last == len(swings) and np.ptp(samples[last * size - 1 :]) <= most:
            b = len(samples)  # behind the last whole block
        if found and a - found[-1][1] <= LONGEST_CLICK * rate:
            a = found.pop()[0]
        found.append((a, b))
    return np.array(found, np.int64).reshape(-1, 2)


def _tones(samples: np.ndarray, rate: int, swings: np.ndarray, loud: float) -> np.ndarray:
    """Whether each block, of swings (T,), is in a soft tone or hum that no other sound is mixed with."""
    found = np.zeros(len(swings), bool)
    if np.count_nonzero(swings <= TONE_LEVEL * loud) < LEAST_TONE_BLOCKS:
        return found
    size = max(rate // BLOCKS_A_SECOND, 1)
    blocks = samples[: len(swings) * size].reshape(-1, size)
    windows = partial(np.lib.stride_tricks.sliding_window_view, window_shape=TONE_BLOCKS)
    wide = windows(blocks.max(1)).max(1) - windows(blocks.min(1)).min(1)
    before, after = wide[:-TONE_BLOCKS], wide[TONE_BLOCKS:]
    for first, last in _runs((np.abs(after - before) <= TONE_SHARE * after) & (after <= TONE_LEVEL * loud)):
        last += 2 * TONE_BLOCKS - 1
        if last - first >= LEAST_TONE_BLOCKS:
            least = (1 - 2 * TONE_SHARE) * swings[first + TONE_BLOCKS : last - TONE_BLOCKS].min()
            inside = np.flatnonzero(swings[first:last] >= least)
            found[first + inside[0] : first + inside[-1] + 1] = True
    return found


def in_steps(samples: np.ndarray) -> bool:
    """Return whether ``samples`` (N,) are of 16 bits or less, or means of up to four channels of such.

    Examples
    --------
    >>> in_steps(np.array([0.5, 3 / 2**15])), in_steps(np.array([0.5, 0.3 / 2**15]))
    (True, False)
    """
    steps = samples * 2.0**17
    return bool((np.abs(steps - np.round(steps)) < 0.01).all())


def _without_drift(samples: np.ndarray, rate: int, swings: np.ndarray, most: float) -> np.ndarray:
    """Samples (N,), of swings (T,), without what nobody hears for its slowness, where there is nothing else
    above ``most``.
    """
    size = max(rate // BLOCKS_A_SECOND, 1)
    if len(swings) <= SLOPE_BLOCKS:
        return samples
    blocks = samples[: len(swings) * size].reshape(-1, size)
    means = np.einsum("ij->i", blocks, dtype=np.float64, casting="same_kind") / size
    steps, reach = np.diff(means), SLOPE_BLOCKS // 2
    alike = (swings[1:] > most) & (np.abs(swings[1:] - np.abs(steps) * (size - 1) / size) <= most)
    if np.count_nonzero(alike) < LEAST_FAINT_BLOCKS // 2:
        return samples
    around = np.lib.stride_tricks.sliding_window_view(np.pad(steps, reach + 1, "edge"), SLOPE_BLOCKS)
    medians = np.partition(around, reach, axis=1)[:, reach]
    slopes = (medians[:-1] + medians[1:]) / 2
    drifts = (swings > most) & (np.abs(swings - np.abs(slopes) * (size - 1) / size) <= most)
    flat, centre = samples, (size - 1) / 2
    for first, last in _runs(drifts | (swings <= most)).tolist():
        if last - first < LEAST_FAINT_BLOCKS or not drifts[first:last].any():
            continue
        if flat is samples:
            flat = samples.astype(np.float64)
        ends = means[first] - 1.5 * slopes[first], means[last - 1] + 1.5 * slopes[last - 1]
        places = np.concatenate([[first - 1.5], np.arange(first, last), [last + 0.5]]) * size + centre
        at = np.arange(max(first - 1, 0) * size, min((last + 1) * size, len(samples)))
        flat[at] -= np.interp(at, places, np.concatenate([ends[:1], means[first:last], ends[1:]]))
    return flat


def _without_offset(samples: np.ndarray, live: np.ndarray, least: float) -> np.ndarray:
    """Samples (N,) less the mean of what is ``live`` (L, 2) of them, where this is ``least`` at least."""
    total = sum(float(samples[a:b].sum(dtype=np.float64)) for a, b in live.tolist())
    mean = total / int((live[:, 1] - live[:, 0]).sum())
    return samples if abs(mean) < least else samples - samples.dtype.type(mean)


def _runs(within: np.ndarray) -> np.ndarray:
    """First and last + 1 of each run of True in ``within`` (T,), as rows (K, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], within.astype(np.int8), [0]])))
    return edges.reshape(-1, 2)


def _to_the_sample(samples: np.ndarray, first: int, last: int, size: int) -> tuple[int, int]:
    """A dead stretch of whole blocks with what is alike before and behind it, up to a block each."""
    inside = samples[first:last]
    least, most = inside.min(), inside.max()
    before = samples[max(first - size, 0) : first][::-1]
    behind = samples[last : last + size]
    return first - _alike(before, least, most), last + _alike(behind, least, most)


def _constant_part(samples: np.ndarray, first: int, last: int, size: int) -> tuple[int, int]:
    """A dead stretch without the block at either end that is not constant where all the rest is."""
    inside = samples[first:last]
    ahead = _alike(inside, inside[0], inside[0])
    back = _alike(inside[::-1], inside[-1], inside[-1])
    if len(inside) - ahead < size:
        return first, first + ahead
    return (last - back, last) if len(inside) - back < size else (first, last)


def _alike(samples: np.ndarray, least: float, most: float) -> int:
    """How many samples from the first on lie from ``least`` to ``most``."""
    other = (samples < least) | (samples > most)
    return int(other.argmax()) if other.any() else len(samples)


def _between(dead: np.ndarray, count: int) -> np.ndarray:
    """The stretches (L, 2) of ``count`` samples that dead ones (K, 2) leave over."""
    edges = np.concatenate([[0], dead.ravel(), [count]]).reshape(-1, 2)
    return edges[edges[:, 1] > edges[:, 0]]


def _put_there(samples: np.ndarray, dead: np.ndarray, rate: int) -> np.ndarray:
    """Whether each dead stretch (K, 2) is a constant that was put there, whose edges are sure."""
    long = dead[:, 1] - dead[:, 0] >= round(EXACT_SECONDS * rate)
    return np.asarray(long & (samples[dead[:, 0]] == samples[dead[:, 1] - 1]))


def _removed(
    samples: np.ndarray, dead: np.ndarray, exact: np.ndarray, rate: int, live: np.ndarray, loud: float
) -> np.ndarray:
    """What is left out of each dead stretch, (K, 2); none of it where both numbers are one.

    At the edges it is all, but for a bit of background where speech begins or ends right there; between live
    stretches the middle.
    """
    edge, least = round(LEAST_EDGE * rate), round(LEAST_CUT * rate)
    count, kept, step = len(samples), round(KEPT_REST * rate), round(CUT_STEP * rate)
    first_speech, last_speech = _speech(samples, rate, live, SPEECH_LEVEL * loud)
    found = []
    for (first, last), sure in zip(dead.tolist(), exact.tolist(), strict=True):
        if first == 0:
            length = max(min(last, first_speech - edge), 0)
            found.append((0, 0 if length < least else length if sure else length // step * step))
        elif last == count:
            length = max(min(count - first, count - last_speech - edge), 0)
            found.append((count if length < least else count - length, count))
        else:
            length = max((last - first - kept) // step * step, 0)
            begin = first + (last - first - length) // 2
            found.append((begin, begin + length))
    return np.array(found, np.int64)


def _speech(samples: np.ndarray, rate: int, live: np.ndarray, least: float) -> tuple[int, int]:
    """The first sample of the first live block whose swing is ``least``, and the last + 1 of the last."""
    found = []
    for first, last in (live[0].tolist(), live[-1].tolist()):
        spoken = np.flatnonzero(swings_of(samples[first:last], rate) >= least)
        size = max(rate // BLOCKS_A_SECOND, 1)
        begin, end = (spoken[0] * size, spoken[-1] * size + size) if len(spoken) else (0, last - first)
        found.append((first + int(begin), first + int(end)))
    return found[0][0], found[1][1]


def _before(removed: np.ndarray, dead: np.ndarray) -> np.ndarray:
    """How many samples are left out before each edge of dead stretches, (K, 2)."""
    lengths = removed[:, 1] - removed[:, 0]
    behind = np.cumsum(lengths)
    return np.stack([behind - lengths, behind], 1)


def filled(
    kept: np.ndarray,
    rests: np.ndarray,
    samples: np.ndarray,
    live: np.ndarray,
    rate: int,
    share: float = BACKGROUND_SHARE,
) -> np.ndarray:
    """What is kept of ``samples`` (N,), with background in the ``rests`` (K, 2) of what is dead in it."""
    sizes = rests[:, 1] - rests[:, 0]
    if not sizes.any():
        return kept
    noise = background(samples, live, rate, round(NOISE * rate), share)
    beside, made = round(MEAN_SECONDS * rate), kept.copy()
    for first, last in rests[sizes > 0].tolist():
        size = last - first
        offset, fall = _joint(kept[max(first - beside, 0) : first])
        other, rise = _joint(kept[last : last + beside][::-1])
        begin, end = offset if first else other, other if last < len(kept) else offset
        decay = np.exp(-np.arange(size) / (DECAY * rate))
        own = np.resize(noise[::-1], size)[::-1] if first == 0 else np.resize(noise, size)
        made[first:last] = own + np.linspace(begin, end, size) + fall * decay + rise * decay[::-1]
    return made


def _joint(beside: np.ndarray) -> tuple[float, float]:
    """The offset of samples whose last one stands beside a rest, and how far off this one is."""
    if not len(beside):
        return 0.0, 0.0
    offset = float(beside.mean())
    return offset, float(beside[-1]) - offset


def background(
    samples: np.ndarray, live: np.ndarray, rate: int, count: int, share: float = BACKGROUND_SHARE
) -> np.ndarray:
    """Noise (count,) with the spectrum of the quietest parts of what is ``live`` (L, 2); always the same."""
    size, step = round(WINDOW * rate), round(WINDOW_STEP * rate)
    begins = np.concatenate([np.arange(a, b - size + 1, step) for a, b in live.tolist()])
    if not len(begins):
        return np.zeros(count)
    begins = begins[:: -(-len(begins) // MOST_WINDOWS)]
    windows = samples[begins[:, None] + np.arange(size)]
    power = windows.var(1, dtype=np.float64)
    order = power.argsort()
    few = max(1, round(share * len(order)))
    quiet = order[:few]
    centred = windows[quiet] - windows[quiet].mean(1, keepdims=True, dtype=np.float64)
    spectrum = np.square(np.abs(np.fft.rfft(centred * np.hanning(size), axis=1))).mean(0)
    white = np.random.default_rng(0).standard_normal(max(count, size))
    bins = np.linspace(0, len(spectrum) - 1, len(white) // 2 + 1)
    shape = np.sqrt(np.interp(bins, np.arange(len(spectrum)), spectrum))
    noise = np.fft.irfft(np.fft.rfft(white) * shape, len(white))
    level = min(float(power[quiet].mean()), (MOST_BACKGROUND * weighted_median(np.sqrt(power), power)) ** 2)
    polarity = np.sign(samples @ (samples * samples)) or 1.0  # a copy upside down is heard alike
    scaled: np.ndarray = (
        noise[:count] * polarity * np.sqrt(level / max(float(np.square(noise).mean()), 1e-30))
    )
    return scaled
