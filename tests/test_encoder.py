"""Whisper's encoder against Hugging Face's, whatever file it comes from, and in whatever pieces it hears."""

from __future__ import annotations

import json
import pickle
import re
import struct
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import pad

from aligner.models import log_mel as log_mel_room
from aligner.models.encoder import Encoder, frame_count, spans
from aligner.models.log_mel import followed_by_silence, log_mel
from aligner.models.products import Int8Linear, in_int8
from aligner.types import ModelError

SECONDS = 16_000
POSITIONS = 50  # of the small network: it hears a second at once
DTYPES = {
    torch.float32: 0,
    torch.int8: 1,
    torch.int16: 2,
    torch.int32: 3,
    torch.float16: 4,
    torch.bfloat16: 5,
}


def sound(samples: int, seed: int = 0) -> Tensor:
    """Noise that comes and goes."""
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(seed))
    return noise * torch.sin(torch.arange(samples) / 3000).abs() / 10


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip(
        "transformers", reason="Hugging Face's transformers is not installed (the extra 'ctc')"
    )


def random_whisper(transformers, kind="WhisperModel", **sizes):
    torch.manual_seed(0)
    given = {"d_model": 32, "encoder_layers": 3, "encoder_attention_heads": 4, "encoder_ffn_dim": 48}
    config = transformers.WhisperConfig(
        vocab_size=20,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=8,
        max_source_positions=POSITIONS,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        **{**given, **sizes},
    )
    model = getattr(transformers, kind)(config).eval()
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.2)
    return model


@pytest.fixture(scope="module")
def whisper(transformers):
    return random_whisper(transformers)


@pytest.fixture(scope="module")
def folder(whisper, tmp_path_factory) -> Path:
    """The random network as Hugging Face keeps it."""
    where = tmp_path_factory.mktemp("whisper")
    whisper.save_pretrained(where)
    return where


@pytest.fixture(scope="module")
def encoder(folder) -> Encoder:
    return Encoder.load(folder)


@pytest.mark.parametrize(("mels", "samples"), [(80, 15_000), (80, 5_000), (80, 100), (128, 12_345)])
def test_log_mel_is_whispers(transformers, mels, samples):
    extractor = transformers.WhisperFeatureExtractor(mels, chunk_length=1)
    expected = extractor(sound(samples).numpy(), sampling_rate=16_000, return_tensors="pt").input_features[0]
    torch.testing.assert_close(log_mel(sound(samples), mels, 0, 100), expected.T, atol=1e-5, rtol=0)


def test_it_equals_transformers_after_every_block(whisper, encoder):
    mel = torch.randn(2, 2 * POSITIONS, 80, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = whisper.encoder(mel.transpose(1, 2), output_hidden_states=True)
    for ours, theirs in zip(encoder(mel, (0, 1, 2, 3)), expected.hidden_states, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-5)
    [last] = encoder(mel)
    torch.testing.assert_close(last, expected.last_hidden_state, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_it_may_be_cut_after_any_block(folder, encoder, layers):
    cut, mel = Encoder.load(folder, layers=layers), sound(8_000).view(1, -1, 80)
    assert (len(cut.blocks), cut.norm is None) == (layers, layers < 3)
    for ours, whole in zip(cut(mel, range(layers + 1)), encoder(mel, range(layers + 1)), strict=True):
        torch.testing.assert_close(ours, whole, atol=0, rtol=0)


# The same network in other people's files


def openai(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name the tensors as OpenAI does."""
    for theirs, ours in (
        (r"embed_positions\.weight", "positional_embedding"),
        (r"encoder\.layer_norm", "encoder.ln_post"),
        (r"encoder\.layers", "encoder.blocks"),
        ("self_attn_layer_norm", "attn_ln"),
        ("final_layer_norm", "mlp_ln"),
        (r"self_attn\.(.)_proj", r"attn.\1"),
        (r"self_attn\.out_proj", "attn.out"),
        (r"attn\.q\b", "attn.query"),
        (r"attn\.k\b", "attn.key"),
        (r"attn\.v\b", "attn.value"),
        ("fc1", "mlp.0"),
        ("fc2", "mlp.2"),
    ):
        state = {re.sub(theirs, ours, name): value for name, value in state.items()}
    return state


def save_openai(folder: Path, path: Path, **changes) -> Path:
    state = {**openai(load_file(folder / "model.safetensors")), **changes}
    torch.save({"dims": {"n_audio_head": 4, "n_mels": 80}, "model_state_dict": state}, path)
    return path


def ctranslate2(state: dict[str, Tensor], kind: torch.dtype) -> dict[str, Tensor]:
    """Name and store the tensors as CTranslate2 does: int8 with a scale a row, int16 with one for all."""
    found = {"encoder/num_heads": torch.tensor(4, dtype=torch.int16)}
    get = lambda k, part: state[f"encoder.layers.{k}.{part}"]  # noqa: E731
    plain = {"encoder/position_encodings/encodings": state["encoder.embed_positions.weight"]}
    products = {f"encoder/{c}/weight": state[f"encoder.{c}.weight"] for c in ("conv1", "conv2")}
    for c in ("conv1", "conv2"):
        plain[f"encoder/{c}/bias"] = state[f"encoder.{c}.bias"]
    for k in range(3):
        here = f"encoder/layer_{k}"
        query = get(k, "self_attn.q_proj.bias")
        plain[f"{here}/self_attention/linear_0/bias"] = torch.cat(
            [query, 0 * query, get(k, "self_attn.v_proj.bias")]
        )
        products[f"{here}/self_attention/linear_0/weight"] = torch.cat(
            [get(k, f"self_attn.{p}_proj.weight") for p in "qkv"]
        )
        for theirs, part in (
            ("self_attention/linear_1", "self_attn.out_proj"),
            ("ffn/linear_0", "fc1"),
            ("ffn/linear_1", "fc2"),
        ):
            products[f"{here}/{theirs}/weight"] = get(k, f"{part}.weight")
            plain[f"{here}/{theirs}/bias"] = get(k, f"{part}.bias")
        for theirs, part in (
            ("self_attention/layer_norm", "self_attn_layer_norm"),
            ("ffn/layer_norm", "final_layer_norm"),
        ):
            plain[f"{here}/{theirs}/gamma"] = get(k, f"{part}.weight")
            plain[f"{here}/{theirs}/beta"] = get(k, f"{part}.bias")
    plain["encoder/layer_norm/gamma"] = state["encoder.layer_norm.weight"]
    plain["encoder/layer_norm/beta"] = state["encoder.layer_norm.bias"]
    for name, value in products.items():
        if kind == torch.int8:
            scale = 127 / value.flatten(1).abs().amax(1)
            found[f"{name}_scale"] = scale
            value = (value * scale.view(-1, *[1] * (value.ndim - 1))).round()
        elif kind == torch.int16:
            found[f"{name}_scale"] = scale = 1024 / value.abs().max()
            value = (value * scale).round()
        found[name] = value.to(kind)
    found |= {
        name: value.to(kind if kind.is_floating_point else torch.float32) for name, value in plain.items()
    }
    return found | {"decoder/embeddings/weight": torch.zeros(20, 32)}


def packed_text(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def save_ctranslate2(folder: Path, path: Path, kind=torch.float32, *, spec="WhisperSpec", version=6) -> Path:
    variables = ctranslate2(load_file(folder / "model.safetensors"), kind)
    parts = [struct.pack("<I", version), packed_text(spec), struct.pack("<II", 3, len(variables))]
    for name, value in sorted(variables.items()):
        data = value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        header = struct.pack(f"<B{value.ndim}IBI", value.ndim, *value.shape, DTYPES[value.dtype], len(data))
        parts += [packed_text(name), header, data]
    path.write_bytes(b"".join([*parts, struct.pack("<I", 0)]))
    return path


def same(path: Path, encoder: Encoder, tolerance: float) -> None:
    mel = log_mel(sound(SECONDS), 80, 0, 100)[None]
    for found, expected in zip(Encoder.load(path)(mel, (0, 3)), encoder(mel, (0, 3)), strict=True):
        assert (found - expected).abs().max() <= tolerance * expected.abs().max()


def test_openais_file_is_the_same_network(folder, encoder, tmp_path):
    same(save_openai(folder, tmp_path / "small.pt"), encoder, 0)


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [
        (torch.float32, 0),
        (torch.float16, 0.003),
        (torch.bfloat16, 0.03),
        (torch.int16, 0.02),
        (torch.int8, 0.05),
    ],
)
def test_ctranslate2s_file_is_the_same_network(folder, encoder, tmp_path, kind, tolerance):
    same(save_ctranslate2(folder, tmp_path / "model.bin", kind), encoder, tolerance)
    same(tmp_path, encoder, tolerance)  # the folder


def test_hugging_faces_folder_in_several_files_and_with_a_head(transformers, tmp_path):
    model = random_whisper(transformers, "WhisperForConditionalGeneration")
    model.save_pretrained(tmp_path / "one")
    model.save_pretrained(tmp_path / "many", max_shard_size="20KB")
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 2
    mel = sound(8_000).view(1, -1, 80)
    with torch.no_grad():
        expected = model.model.encoder(pad(mel, (0, 0, 0, 0)).transpose(1, 2)).last_hidden_state
    for one in ("one", "many"):
        torch.testing.assert_close(Encoder.load(tmp_path / one)(mel)[0], expected, atol=2e-5, rtol=1e-5)


# Files that are none


def rewritten(folder: Path, path: Path, change) -> Path:
    """A copy of the folder with its tensors changed."""
    path.mkdir()
    (path / "config.json").write_text((folder / "config.json").read_text())
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, path / "model.safetensors")
    return path


def config_with(folder: Path, path: Path, **changes) -> Path:
    rewritten(folder, path, lambda state: None)
    table = {**json.loads((path / "config.json").read_text()), **changes}
    (path / "config.json").write_text(json.dumps(table))
    return path


class Tattle:
    """Code that a pickle would run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def with_code(folder: Path, path: Path) -> Path:
    torch.save(
        {"dims": {"n_audio_head": 4}, "model_state_dict": {}, "more": Tattle(path / "ran")}, path / "a.pt"
    )
    return path / "a.pt"


class Vast:
    """Ten thousand million bytes, as a pickle of some dozens."""

    def __reduce__(self):
        return bytearray, (10**10,)


def with_vast_bytes(folder: Path, path: Path) -> Path:
    torch.save({"dims": {"n_audio_head": 4}, "model_state_dict": {}, "more": Vast()}, path / "a.pt")
    return path / "a.pt"


def with_a_false_size(folder: Path, path: Path) -> Path:
    """A tensor of few numbers that claims to be of many."""
    vast = torch.zeros(1).expand(1 << 20, 1 << 20)
    return save_openai(folder, path / "a.pt", **{"encoder.conv1.bias": vast})


def with_one_storage_for_all(folder: Path, path: Path) -> Path:
    """Tensors that are each as large as all of them together, and all the same numbers."""
    many = torch.randn(60_000)
    more = {f"encoder.blocks.0.more{k}": many for k in range(50)}
    return save_openai(folder, path / "a.pt", **more)


def text(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def without(name: str):
    return lambda state: state.pop(name)


def put(name: str, value: Tensor):
    return lambda state: state.update({name: value})


BAD = {
    "no file": (lambda f, p: p / "a.pt", "cannot be read"),
    "an empty folder": (lambda f, p: p, "cannot be read"),
    "an empty file": (lambda f, p: text(p / "a.bin", b""), "no model of CTranslate2"),
    "a text": (lambda f, p: text(p / "a.bin", b"what is this? " * 99), "no model of CTranslate2"),
    "a zip of nothing": (
        lambda f, p: text(p / "a.pt", b"PK\x03\x04" + bytes(99)),
        "no Whisper model of OpenAI",
    ),
    "code": (with_code, "no Whisper model of OpenAI"),
    "bytes without end": (with_vast_bytes, "it names .* bytearray"),
    "a pickle": (lambda f, p: text(p / "a.pt", pickle.dumps(Tattle(p / "ran"))), "no model of CTranslate2"),
    "a view of much": (with_a_false_size, "in a file of"),
    "views of the same": (with_one_storage_for_all, "in a file of"),
    "a table without end": (
        lambda f, p: text(config_with(f, p / "a") / "config.json", b"[" * 100_000).parent,
        "config.json: it is not JSON",
    ),
    "a number without end": (
        lambda f, p: rewritten(f, p / "a", put(f"encoder.layers.{'9' * 5000}.fc1.bias", torch.zeros(3))),
        "blocks.9999",
    ),
    "nothing in a layer": (
        lambda f, p: rewritten(f, p / "a", put("encoder.layers.0.fc1.weight", torch.zeros(0, 32))),
        "0 units",
    ),
    "another spec": (
        lambda f, p: save_ctranslate2(f, p / "a.bin", spec="TransformerSpec"),
        "not with the name WhisperSpec",
    ),
    "a newer version": (lambda f, p: save_ctranslate2(f, p / "a.bin", version=9), "version 9"),
    "a network of another kind": (lambda f, p: config_with(f, p / "a", model_type="wav2vec2"), "'wav2vec2'"),
    "another activation": (lambda f, p: config_with(f, p / "a", activation_function="relu"), "'relu'"),
    "no heads": (lambda f, p: config_with(f, p / "a", encoder_attention_heads=0), "0 heads"),
    "heads that do not fit": (lambda f, p: config_with(f, p / "a", encoder_attention_heads=5), "5 heads"),
    "a tensor too few": (
        lambda f, p: rewritten(f, p / "a", without("encoder.layers.1.fc2.bias")),
        "blocks.1.fc2.bias has shape None",
    ),
    "a tensor too many": (
        lambda f, p: rewritten(f, p / "a", put("encoder.layers.1.fc3.bias", torch.zeros(3))),
        "blocks.1.fc3.bias",
    ),
    "a block too few": (
        lambda f, p: rewritten(
            f, p / "a", lambda s: [s.pop(k) for k in list(s) if k.startswith("encoder.layers.1.")]
        ),
        "blocks",
    ),
    "another shape": (
        lambda f, p: rewritten(f, p / "a", put("encoder.conv2.bias", torch.zeros(31))),
        r"conv2.bias has shape \(31,\)",
    ),
    "NaN": (
        lambda f, p: rewritten(f, p / "a", put("encoder.conv2.bias", torch.full((32,), torch.nan))),
        "not finite",
    ),
    "no encoder": (
        lambda f, p: rewritten(f, p / "a", lambda s: [s.pop(k) for k in list(s) if "enc" in k]),
        "no enc",
    ),
    "an index out of the folder": (
        lambda f, p: (
            [
                config_with(f, p / "a"),
                (p / "a" / "model.safetensors").rename(p / "b.safetensors"),
                (p / "a" / "model.safetensors.index.json").write_text(
                    '{"weight_map": {"a": "../b.safetensors"}}'
                ),
            ]
            and p / "a"
        ),
        "no files beside it",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_none_is_refused(folder, tmp_path, name):
    make, message = BAD[name]
    with pytest.raises(ModelError, match=message) as refused:
        Encoder.load(make(folder, tmp_path))
    assert str(refused.value).startswith(str(tmp_path))
    assert refused.value.remedy
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("layers", [0, 4, -1])
def test_blocks_that_it_has_not_cannot_be_kept(folder, layers):
    with pytest.raises(ModelError, match=r"3 blocks of an encoder, and .* ask for 1 to 3"):
        Encoder.load(folder, layers=layers)


@pytest.mark.parametrize("kind", ["model.bin", "a.pt", "model.safetensors"])
def test_a_damaged_file_is_refused_or_another_network(folder, tmp_path, kind):
    """Wherever it ends or a byte is another: a ModelError, or numbers that differ, and never a crash."""
    make = {"model.bin": save_ctranslate2, "a.pt": save_openai}.get(kind)
    path = tmp_path / kind
    if make is None:
        rewritten(folder, tmp_path / "a", lambda state: None)
        path = tmp_path / "a" / kind
    else:
        make(folder, path)
    raw = path.read_bytes()
    load = path if make else path.parent
    generator = torch.Generator().manual_seed(0)
    places = [*range(0, 200, 7), *torch.randint(len(raw), (60,), generator=generator).tolist()]
    for place in places:
        path.write_bytes(raw[:place])
        with pytest.raises(ModelError):
            Encoder.load(load)
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 0xFF]) + raw[place + 1 :])
        with suppress(ModelError):
            assert Encoder.load(load).shape.positions == POSITIONS


# What it hears at once


@given(st.integers(1, 20_000), st.sampled_from([100, 400, 3000]), st.integers(0, 40), st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_every_frame_is_taken_once_with_context_around_it(frames, longest, half, tail):
    overlap, tail = 2 * half, min(tail, half)
    windows = spans(frames, longest, overlap, tail)
    assert [t for s in windows for t in range(*s.take)] == list(range(frames))
    for s in windows:
        assert s.first <= s.take[0] < s.take[1] <= s.last
        assert 0 < s.last - s.first <= longest
        assert (s.last - s.first) % 2 == 0
        assert s.first == 0 or s.take[0] - s.first >= half
        assert s.take[1] == frames or s.last - s.take[1] >= half
    assert windows[-1].last - frames in (tail, tail + 1)


def test_short_recordings_are_heard_at_once():
    assert len(spans(580)) == 1
    assert len(spans(581)) == 2


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 201, 8_000, 15_999, 16_000, 16_001, 50_000])
def test_a_frame_every_10_ms(encoder, samples):
    [frames] = encoder.frames([sound(samples)], (1, 2))
    assert frames.shape == (frame_count(samples), 64)
    assert frames.dtype == torch.float32
    assert frames.isfinite().all()


def test_frame_t_stands_for_sample_160_t(encoder):
    """A click is loudest in the frame whose middle it is."""
    for place in (2000, 4800, 4880, 4960):
        wave = torch.zeros(8_000)
        wave[place] = 1.0
        loud = log_mel(wave, 80).sum(1)
        nearest = {place // 160, -(-place // 160)}
        assert set(loud.topk(len(nearest)).indices.tolist()) == nearest
    assert encoder.clock.boundary(30) == pytest.approx(0.295)  # half a frame before sample 4800


def spoken(encoder: Encoder, samples: int, seed: int = 0) -> Tensor:
    """The window (M, mels) in which a short sound is heard."""
    [span] = spans(frame_count(samples), encoder.window)
    return log_mel(sound(samples, seed), 80, span.first, span.last)


def test_it_is_run_on_even_and_on_odd_frames(encoder):
    """30 s are heard as Whisper hears them, once from each of the first two frames on."""
    mel = torch.randn(100, 80, generator=torch.Generator().manual_seed(2))
    [both] = encoder.hear([mel], (0, 3))
    even, odd = (torch.cat(encoder(one[None], (0, 3)), -1)[0] for one in (mel, mel[1:]))
    torch.testing.assert_close(both[:-2:2], even[:-1], atol=0.02, rtol=0.02)  # the end goes on
    # 10 ms later; its first frame lacks what lies before
    torch.testing.assert_close(both[3:-2:2, :32], odd[1:-1, :32], atol=1e-5, rtol=1e-5)


def test_silence_behind_is_heard_as_if_it_were_30_s(whisper, folder):
    """With a frame for each that is left out, what is heard is what Whisper hears in all of the silence."""
    encoder = Encoder.load(folder)
    mel = spoken(encoder, 8_000)
    silent = torch.cat([mel, mel[-1:].expand(100 - len(mel), -1)])
    with torch.no_grad():
        [expected] = encoder(silent[None], (3,))
    [alone], errors = encoder(mel[None], (3,)), {}
    for rest in (1, 4, POSITIONS - len(mel) // 2):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("aligner.models.encoder.REST", rest)
            [found] = encoder.hear([mel], (3,))
        errors[rest] = float((found[: len(mel) - 4 : 2] - expected[0, : len(mel) // 2 - 2]).abs().mean())
    without = float((alone[0, :-2] - expected[0, : len(mel) // 2 - 2]).abs().mean())
    assert (
        errors[POSITIONS - len(mel) // 2] < 0.05 * without
    )  # all of it but the very end, which is not silent
    assert errors[4] < 0.2 * without
    assert errors[1] < 0.5 * without


def test_another_default_type_changes_nothing(encoder):
    [expected] = encoder.frames([sound(8_000)], (2,))
    for kept in (log_mel_room._hann, log_mel_room._filters):
        kept.cache_clear()
    wave = sound(8_000)
    torch.set_default_dtype(torch.float64)
    try:
        [found] = encoder.frames([wave], (2,))
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_every_other_frame_is_what_one_run_gives(encoder):
    """Also across windows, and whatever the parity of the length."""
    for samples in (100, 8_000, 8_160, 50_001):
        [whole] = encoder.frames([sound(samples)], (1, 3))
        [half] = encoder.frames([sound(samples)], (1, 3), step=2)
        torch.testing.assert_close(half, whole[::2], atol=2e-5, rtol=1e-5)


def test_batch_equals_single(encoder):
    waves = [sound(n, seed=n) for n in (16_000, 5_000, 12_345, 40_000, 100, 5_000)]
    single = encoder.frames(waves, (1, 3), batch=1)
    for batch in (200, 1000):
        for one, other in zip(single, encoder.frames(waves, (1, 3), batch=batch), strict=True):
            torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-5)
    for one, wave in zip(single, waves, strict=True):
        torch.testing.assert_close(one, encoder.frames([wave], (1, 3))[0], atol=0, rtol=0)


def test_a_long_recording_is_heard_in_windows(encoder):
    """Each window is heard as if it were alone, and the pieces one behind the other are the whole."""
    wave = sound(5 * SECONDS)
    [whole] = encoder.frames([wave], (2,))
    pieces = list(encoder.pieces(wave, (2,)))
    assert len(pieces) > 3
    torch.testing.assert_close(torch.cat(pieces), whole, atol=0, rtol=0)
    windows = spans(len(whole), encoder.window, encoder.overlap)
    second = windows[1]
    alone = encoder.hear([log_mel(wave, 80, second.first, second.last)], (2,))[0]
    a, b = second.take
    torch.testing.assert_close(whole[a:b], alone[a - second.first : b - second.first], atol=0, rtol=0)


def test_log_mel_of_a_part_is_part_of_the_log_mel():
    wave = sound(3 * SECONDS)
    torch.testing.assert_close(log_mel(wave, 80, 100, 250), log_mel(wave, 80)[100:250], atol=1e-5, rtol=0)


@pytest.mark.parametrize("level", [1.0, 1e-3, 1e-6, 0.0])
def test_what_follows_is_the_silence_that_there_is_behind_a_recording(level):
    wave = level * sound(SECONDS)
    followed = followed_by_silence(log_mel(wave, 80, 0, 103), 130)
    torch.testing.assert_close(followed, log_mel(wave, 80, 0, 130), atol=1e-6, rtol=0)


def test_half_precision_is_near(encoder, folder):
    wave = sound(SECONDS)
    [exact] = encoder.frames([wave], (1, 2))
    [half] = Encoder.load(folder).to(torch.bfloat16).frames([wave], (1, 2))
    assert half.dtype == torch.float32
    assert (half - exact).abs().mean() < 0.02 * exact.abs().mean()


def test_8_bit_integers_are_near_also_in_another_process(encoder, folder):
    waves = [sound(SECONDS), sound(3 * SECONDS)]
    exact = encoder.frames(waves, (1, 2))
    quantised = in_int8(Encoder.load(folder))
    assert not any(isinstance(part, torch.nn.Linear) for part in quantised.modules())
    found = quantised.frames(waves, (1, 2))
    for one, other in zip(found, exact, strict=True):
        assert 0 < (one - other).norm() < 0.05 * other.norm()
    again = pickle.loads(pickle.dumps(quantised)).frames(waves, (1, 2))
    for one, other in zip(again, found, strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


def test_a_layer_of_8_bit_integers_is_its_product_within_two_roundings():
    torch.manual_seed(0)
    linear = torch.nn.Linear(64, 32).requires_grad_(False)
    linear.weight[3] = 0  # a row of zeros has no scale
    quantised = Int8Linear(linear)
    for x in (torch.randn(7, 5, 64), 3 + torch.rand(9, 64), -torch.rand(1, 64) - 2, torch.zeros(2, 64)):
        exact, found = linear(x), quantised(x)
        assert found.shape == exact.shape
        assert (found - exact).abs().max() <= 0.05 * exact.abs().max()
        torch.testing.assert_close(found[..., 3], exact[..., 3])


def test_a_torch_without_8_bit_products_is_told(folder, monkeypatch):
    monkeypatch.setattr("aligner.models.products.is_possible", lambda: False)
    with pytest.raises(ModelError, match="take float32"):
        in_int8(Encoder.load(folder))


@pytest.mark.gpu
def test_a_device_gives_the_same(encoder, folder):
    waves = [sound(n) for n in (16_000, 5_000, 40_000)]
    expected = encoder.frames(waves, (1, 2, 3))
    for one, other in zip(Encoder.load(folder).to("cuda").frames(waves, (1, 2, 3)), expected, strict=True):
        torch.testing.assert_close(one.cpu(), other, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    "call",
    [
        lambda e: e.frames([torch.zeros(2, 100)]),
        lambda e: e.frames([torch.zeros(100, dtype=torch.int16)]),
        lambda e: e.frames([torch.zeros(100)], (4,)),
        lambda e: e.frames([torch.zeros(100)], ()),
        lambda e: e(torch.zeros(1, 102, 80)),
        lambda e: e(torch.zeros(1, 0, 80)),
        lambda e: e.hear([torch.zeros(11, 80)]),
        lambda e: e.hear([torch.zeros(102, 80)]),
        lambda e: e.hear([torch.zeros(10, 80)], step=3),
    ],
)
def test_a_wrong_call_is_told(encoder, call):
    with pytest.raises(ValueError, match="not"):
        call(encoder)
