"""Networks that others trained give what their own libraries give."""

from __future__ import annotations

import json
from urllib.error import URLError

import pytest
import torch

from aligner.models.hub import (
    huggingface_network,
    letter_case,
    receptive_field,
    torchaudio_bundles,
    torchaudio_network,
)
from aligner.types import Clock, ModelError

ALPHABET = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAOIN'"]
WAVE = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0)) + 0.02  # 1 s, off the middle


def frames_of(samples: int) -> int:
    """What wav2vec 2.0's convolutions leave of so many samples, layer by layer."""
    for kernel, stride in zip((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), strict=True):
        samples = (samples - kernel) // stride + 1
    return samples


@pytest.mark.parametrize(
    ("kernels", "strides"), [((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)), ((4, 5), (3, 2)), ((7,), (7,))]
)
def test_the_receptive_field_is_what_moves_an_output(kernels, strides):
    hop, window = receptive_field(kernels, strides)
    wave = torch.zeros(1, 1, window + 3 * hop, dtype=torch.float64, requires_grad=True)
    made = wave
    for kernel, stride in zip(kernels, strides, strict=True):
        made = torch.nn.functional.conv1d(made, torch.ones(1, 1, kernel, dtype=torch.float64), stride=stride)
    assert made.shape[2] == 4
    [slope] = torch.autograd.grad(made[0, 0, 2], wave)
    touched = slope[0, 0].nonzero()[:, 0]
    assert (touched.min(), touched.max()) == (2 * hop, 2 * hop + window - 1)


@pytest.mark.parametrize(
    ("labels", "case"), [("AB'|", "upper"), ("aé", "lower"), ("aB", None), ("12'", None), ("אב", None)]
)
def test_the_case_of_an_alphabet(labels, case):
    assert letter_case(["<blank>", *labels]) == case


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip(
        "transformers", reason="Hugging Face's transformers is not installed (the extra 'ctc')"
    )


def save(folder, transformers, kind="Wav2Vec2", normalise=True, **changes):
    """A small network with random weights, in a folder as transformers writes it."""
    torch.manual_seed(1)
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "conv_dim": (8,) * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
    }
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(ALPHABET), pad_token_id=0, **sizes | changes
    )
    getattr(transformers, f"{kind}ForCTC")(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({label: k for k, label in enumerate(ALPHABET)}))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=normalise)
    transformers.Wav2Vec2Processor(extractor, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory, transformers):
    return save(tmp_path_factory.mktemp("wav2vec2"), transformers)


@pytest.mark.parametrize(
    ("kind", "normalise"), [("Wav2Vec2", True), ("Wav2Vec2", False), ("Hubert", True), ("WavLM", True)]
)
def test_posteriors_equal_those_of_transformers(tmp_path, transformers, kind, normalise):
    folder = save(tmp_path, transformers, kind, normalise)
    network = huggingface_network(folder)
    processor = transformers.AutoProcessor.from_pretrained(folder)
    module = transformers.AutoModelForCTC.from_pretrained(folder)
    given = processor(WAVE.numpy(), sampling_rate=16_000, return_tensors="pt").input_values
    with torch.no_grad():
        expected = module(given).logits[0].log_softmax(1)
    found = network(WAVE)
    assert torch.equal(found, expected)
    assert found.shape == (frames_of(len(WAVE)), len(network.labels))
    assert found.dtype == torch.float32
    assert not found.requires_grad
    assert normalise == (not torch.allclose(given[0], WAVE))


def test_labels_and_clock_of_a_folder(saved):
    network = huggingface_network(saved)
    assert network.labels == ("<blank>", *ALPHABET[1:])
    assert (network.blank, network.boundary, network.case, network.star) == (0, "|", "upper", None)
    assert network.clock == Clock(320, 400, 16_000)


def test_the_stride_is_the_networks_own(tmp_path, transformers):
    kernels, strides = (10, 3, 3, 3, 3, 2), (5, 2, 2, 2, 2, 1)
    folder = save(tmp_path, transformers, conv_dim=(8,) * 6, conv_kernel=kernels, conv_stride=strides)
    assert huggingface_network(folder).clock == Clock(80, 240, 16_000)


@pytest.mark.parametrize("samples", [1, 399, 400, 719, 720])
def test_short_waves_have_a_frame(saved, samples):
    assert len(huggingface_network(saved)(WAVE[:samples])) == 1 + (samples == 720)


def test_a_folder_never_asks_the_network(saved, monkeypatch):
    def refused(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket.connect", refused)
    monkeypatch.setattr("socket.getaddrinfo", refused)
    huggingface_network(saved)


def test_a_vocabulary_without_a_delimiter(tmp_path, transformers):
    folder = save(tmp_path, transformers)
    vocabulary = {"<pad>": 0, "ə": 1, "tʃ": 2, "ɛ": 3, "beyond": 99}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    network = huggingface_network(folder)
    assert network.labels == ("<blank>", "ə", "tʃ", "ɛ", *(f"<{k}>" for k in range(4, len(ALPHABET))))
    assert (network.boundary, network.case) == (None, "lower")


@pytest.mark.parametrize(
    "absent", ["config.json", "model.safetensors", "vocab.json", "*processor_config.json"]
)
def test_a_missing_file_is_told(tmp_path, transformers, absent):
    """How to hear a wave stands in preprocessor_config.json in older versions, without "pre" in newer
    ones."""
    folder = save(tmp_path, transformers)
    [path] = folder.glob(absent)
    path.unlink()
    with pytest.raises(ModelError, match="cannot be loaded as a CTC network"):
        huggingface_network(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "vocab.json", "config.json"])
def test_a_damaged_file_is_told(tmp_path, transformers, name):
    folder = save(tmp_path, transformers)
    (folder / "model.safetensors").rename(folder / name)
    (folder / name).write_bytes(b"no weights")
    with pytest.raises(ModelError, match="cannot be loaded"):
        huggingface_network(folder)


def test_a_network_that_was_not_trained_with_ctc_is_refused(tmp_path, transformers):
    folder = save(tmp_path, transformers)
    config = transformers.Wav2Vec2Config.from_pretrained(folder)
    transformers.Wav2Vec2Model(config).save_pretrained(folder)
    with pytest.raises(ModelError, match="weights are missing: lm_head"):
        huggingface_network(folder)


def test_alphabets_of_several_languages_are_refused(tmp_path, transformers):
    folder = save(tmp_path, transformers)
    (folder / "vocab.json").write_text(json.dumps({"eng": {"<pad>": 0, "a": 1}, "deu": {"<pad>": 0, "ä": 1}}))
    with pytest.raises(ModelError, match="several languages"):
        huggingface_network(folder)


def test_without_transformers_the_command_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("aligner.models.hub.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install 'aligner\[ctc\]'"):
        huggingface_network(tmp_path)


@pytest.fixture
def bundles(monkeypatch, torchaudio):
    """Torchaudio's bundles with a small module of the same interface, and its weights, in place of theirs."""
    from torchaudio.models import wav2vec2_model
    from torchaudio.pipelines._wav2vec2 import utils

    def small(kind, sizes):
        torch.manual_seed(2)
        less = {
            "extractor_conv_layer_config": [
                (8, *layer[1:]) for layer in sizes["extractor_conv_layer_config"]
            ],
            "encoder_embed_dim": 16,
            "encoder_pos_conv_kernel": 16,
            "encoder_pos_conv_groups": 2,
            "encoder_num_layers": 1,
            "encoder_num_heads": 2,
            "encoder_ff_interm_features": 32,
        }
        sizes.update(less)
        return wav2vec2_model(**sizes)

    def weights(path, options, axes=None):
        assert options == {"weights_only": True}
        return made[-1].state_dict()

    made = []
    monkeypatch.setattr(
        utils, "_get_model", lambda kind, sizes: made.append(small(kind, dict(sizes))) or made[-1]
    )
    monkeypatch.setattr(utils, "_get_state_dict", weights)
    return made


@pytest.mark.parametrize(
    "name", ["WAV2VEC2_ASR_BASE_960H", "WAV2VEC2_ASR_LARGE_LV60K_960H", "HUBERT_ASR_LARGE"]
)
def test_posteriors_equal_those_of_torchaudio(bundles, name):
    from torchaudio import pipelines

    network = torchaudio_network(name)
    bundle = getattr(pipelines, name)
    heard = torch.nn.functional.layer_norm(WAVE, WAVE.shape) if bundle._normalize_waveform else WAVE
    with torch.no_grad():
        logits, _ = bundles[0].eval()(heard[None])
    assert torch.equal(network(WAVE), logits[0].log_softmax(1))
    assert network.labels == ("<blank>", *bundle.get_labels()[1:])
    assert (network.blank, network.boundary, network.case, network.star) == (0, "|", "upper", None)
    assert network.clock == Clock(320, 400, 16_000)


def test_the_star_of_mms(bundles):
    from torchaudio.pipelines import MMS_FA

    network = torchaudio_network("MMS_FA")
    found = network(WAVE)
    with torch.no_grad():
        expected, _ = MMS_FA.get_model(dl_kwargs={"weights_only": True})(WAVE[None])
    torch.testing.assert_close(found, expected[0])
    assert dict(zip(network.labels, range(found.shape[1]), strict=True)) == MMS_FA.get_dict(blank="<blank>")
    assert (network.boundary, network.case, network.star) == (None, "lower", "*")
    assert not found[:, network.labels.index("*")].any()
    torch.testing.assert_close(found[:, :-1].exp().sum(1), torch.ones(len(found)))


def test_every_bundle_with_labels_is_offered(torchaudio):
    names = torchaudio_bundles()
    assert {"MMS_FA", "WAV2VEC2_ASR_BASE_10M", "HUBERT_ASR_XLARGE", "VOXPOPULI_ASR_BASE_10K_DE"} <= set(names)
    assert not {"WAV2VEC2_BASE", "WAVLM_LARGE", "TACOTRON2_WAVERNN_CHAR_LJSPEECH"} & set(names)


def test_weights_that_cannot_be_fetched_are_told(monkeypatch, torchaudio):
    from torchaudio.pipelines._wav2vec2 import utils

    def offline(*args):
        raise URLError("no route to host")

    monkeypatch.setattr(utils, "_get_model", lambda kind, sizes: torch.nn.Linear(1, 1))
    monkeypatch.setattr(utils, "_get_state_dict", offline)
    with pytest.raises(ModelError, match=r"could not be fetched.*no route to host"):
        torchaudio_network("MMS_FA")


def test_a_bundle_that_is_none_is_told(torchaudio):
    with pytest.raises(ModelError, match=r"no such pipeline.*MMS_FA"):
        torchaudio_network("WAV2VEC2_BASE")


def test_a_folder_aligns_and_names_what_its_alphabet_lacks(saved):
    from aligner import Failure, Options, align
    from aligner.models.store import load_model
    from aligner.types import Utterance

    model = load_model(saved)
    assert (model.characters, model.case) == (True, "upper")
    assert set(model.classes) == set("ETAOIN'")
    texts = ["Tea, no-one!", "tea  ATE it", "zebra"]
    utterances = [Utterance(str(k), WAVE.numpy(), text) for k, text in enumerate(texts)]
    first, second, failed = align(utterances, model, Options(backend="ctc"))
    assert [w.label for w in first.words if w.label] == ["Tea", "no-one"]
    assert "".join(p.label for p in first.phones) == "TEANOONE"
    assert [w.label for w in second.words if w.label] == ["tea", "ATE", "it"]
    assert second.phones[-1].end == 1.0
    assert isinstance(failed, Failure)
    assert "the character 'Z' of 'zebra' is not in the model's alphabet" in failed.message


@pytest.mark.parametrize("name", ["MMS_FA", "WAV2VEC2_ASR_BASE_960H"])
def test_a_pipeline_aligns(bundles, name):
    from aligner import Options, align_file

    alignment = align_file(WAVE.numpy(), "tea", model=name, options=Options(backend="ctc"))
    assert [w.label for w in alignment.words if w.label not in ("", "<star>")] == ["tea"]
    assert "".join(p.label for p in alignment.phones).lower().removesuffix("spn") == "tea"
