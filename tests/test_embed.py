"""The default embedder against model2vec's own answers; bad input to every embedder."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import CallableEmbedder, HashingEmbedder, StaticEmbedder
from dachi_fast._core import embed as core
from dachi_fast.embed import _static
from dachi_fast.errors import BadEmbedding, EmptyText, Malformed
from dachi_fast.types import Embedder
from tests.children import environment
from tests.vectors.embed import generate

VECTORS = Path(__file__).parent / "vectors" / "embed"
MODEL_SHA256 = "9dea8bb3a1ee63affd3031e7a5d06e5e9ea1085c19233c5918581ff6ad0de0bc"
CASES = [json.loads(line) for line in (VECTORS / "texts.jsonl").read_text().splitlines()]
TEXTS = [case["text"] for case in CASES]


def lengths(texts: list[str]) -> list[list[float]]:
    """A stand-in for a service: nothing about meaning."""
    return [[float(len(text)), 1.0] for text in texts]


EMBEDDERS: dict[str, Callable[[], Embedder]] = {
    "static": StaticEmbedder,
    "hashing": HashingEmbedder,
    "callable": lambda: CallableEmbedder("lengths/1", 2, lengths),
}


@pytest.fixture(params=EMBEDDERS)
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return EMBEDDERS[request.param]()


# ---------------------------------------------------------------- the model


def test_the_model_is_the_one_that_its_name_stands_for() -> None:
    # A changed model needs another name: stores remember it.
    data = (Path(_static.__file__).parent / "minilm.bin").read_bytes()
    assert hashlib.sha256(data).hexdigest() == MODEL_SHA256
    assert StaticEmbedder().name == "all-MiniLM-L6-v2/static-256-int8/1"
    assert _static._model().dimension == StaticEmbedder().dimension


def test_embedders_show_their_names() -> None:
    assert repr(HashingEmbedder(64)) == "<HashingEmbedder hashing-64/1, 64 components, norm unit>"
    assert StaticEmbedder.name in repr(StaticEmbedder())


def test_its_licence_comes_with_it() -> None:
    folder = Path(_static.__file__).parent
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert "all-MiniLM-L6-v2" in (folder / "NOTICE").read_text()


def test_texts_have_the_pieces_that_model2vec_gives_them() -> None:
    model = _static._model()
    wrong = [case["text"] for case in CASES if model.tokens(case["text"]) != case["ids"]]
    assert wrong == []


def test_every_letter_of_unicode_is_treated_as_by_model2vec() -> None:
    expected = (VECTORS / "letters.txt").read_text().split()
    starts = range(0, 0x110000, generate.BLOCK)
    model = _static._model()
    found = [generate.digest(model.tokens(generate.letters(start))) for start in starts]
    wrong = [hex(s) for s, one, other in zip(starts, found, expected, strict=True) if one != other]
    assert wrong == []


def test_vectors_are_near_those_of_model2vec() -> None:
    expected = np.load(VECTORS / "vectors.npy").astype(np.float32)
    cosines = np.sum(StaticEmbedder().embed(TEXTS) * expected, axis=1)
    assert cosines.min() > 0.999


def test_vectors_are_float32_rows_of_unit_length() -> None:
    found = StaticEmbedder().embed(TEXTS)
    assert found.dtype == np.dtype(np.float32)
    assert found.shape == (len(TEXTS), 256)
    assert found.flags.c_contiguous
    assert found.flags.writeable
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("kind", ["static", "hashing"])
def test_a_text_has_the_same_bits_alone_and_in_a_batch_of_many_threads(kind: str) -> None:
    embedder = EMBEDDERS[kind]()
    many = TEXTS * 5  # more than a thread's worth
    together = embedder.embed(many)
    alone = np.concatenate([embedder.embed([text]) for text in many])
    assert together.tobytes() == alone.tobytes()


@pytest.mark.parametrize("kind", ["StaticEmbedder", "HashingEmbedder"])
def test_another_process_computes_the_same_bits(kind: str) -> None:
    # The seed of Python's own hashes differs there.
    code = f"import dachi_fast as d; print(d.{kind}().embed(['one text']).data.hex(), end='')"
    env = environment() | {"PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=env
    )
    embedder = {"StaticEmbedder": StaticEmbedder, "HashingEmbedder": HashingEmbedder}[kind]()
    assert done.stdout == embedder.embed(["one text"]).data.hex()


def test_the_vector_of_a_text_never_changes() -> None:
    # On any machine, with any compiler: stores hold such vectors.
    digest = hashlib.sha256(StaticEmbedder().embed(TEXTS).tobytes()).hexdigest()
    assert digest == "d406ac8b92acec10fd7b3b2f998aa0f0bffcaf6d94536dd62d564eddfd124ffd"
    digest = hashlib.sha256(HashingEmbedder().embed(TEXTS).tobytes()).hexdigest()
    assert digest == "54a320b7740c4213e667968d4c7e413ad062a74cad7030e0d194e49010bb0db0"


def test_case_and_accents_make_no_difference() -> None:
    one, two = StaticEmbedder().embed(["Café MENÜ", "cafe menu"])
    assert one.tobytes() == two.tobytes()


def test_importing_the_package_reads_no_model() -> None:
    code = (
        "import dachi_fast.embed._static as s; print(s._model.cache_info().currsize);"
        "s.StaticEmbedder().dimension; print(s._model.cache_info().currsize);"
        "s.StaticEmbedder().embed(['a']); s.StaticEmbedder().embed(['b']);"
        "print(s._model.cache_info().misses)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment()
    )
    assert done.stdout.split() == ["0", "0", "1"]


def test_ten_megabytes_are_one_text_of_which_all_counts() -> None:
    long = "the quick brown fox " * 500_000
    one, long_vector, other = StaticEmbedder().embed(
        ["the quick brown fox", long, long + "number theory " * 500_000]
    )
    assert one @ long_vector > 0.99999
    assert other @ long_vector < 0.9


def test_ten_megabytes_without_a_space_are_one_unknown_word() -> None:
    with_word, word = StaticEmbedder().embed(["x" * 10_000_000 + " fox", "fox"])
    assert with_word.tobytes() == word.tobytes()


@pytest.mark.parametrize("cut", [0, 15, 16, 17, 18, 30, 200_000, 7_000_000, -1])
def test_a_model_that_is_cut_short_is_malformed(cut: int) -> None:
    data = (Path(_static.__file__).parent / "minilm.bin").read_bytes()
    with pytest.raises(Malformed):
        core.StaticModel(data[:cut])


def test_a_model_with_bytes_after_it_is_malformed() -> None:
    data = (Path(_static.__file__).parent / "minilm.bin").read_bytes()
    with pytest.raises(Malformed):
        core.StaticModel(data + b"\0")


# ---------------------------------------------------------------- all embedders


def test_each_is_an_embedder(embedder: Embedder) -> None:
    assert isinstance(embedder, Embedder)
    assert embedder.embed(["one", "two"]).shape == (2, embedder.dimension)


def test_no_texts_give_no_vectors(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dimension)


@pytest.mark.parametrize("text", ["", " \t\r\n\u3000\u2029"])
def test_a_text_of_nothing_is_refused_with_its_index(embedder: Embedder, text: str) -> None:
    if isinstance(embedder, HashingEmbedder):
        text = text.encode("ascii", "ignore").decode()
    with pytest.raises(EmptyText) as caught:
        embedder.embed(["first", text, "", "last"])
    assert (caught.value.code, caught.value.context["index"]) == ("empty-text", 1)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("kind", ["static", "hashing"])
def test_the_first_empty_text_of_a_large_batch_is_named(kind: str) -> None:
    texts = ["some words of a text that is not empty " * 10] * 3000
    texts[777] = texts[1500] = texts[2999] = "\n"
    with pytest.raises(EmptyText) as caught:
        EMBEDDERS[kind]().embed(texts)
    assert caught.value.context["index"] == 777


def test_a_text_of_which_the_model_knows_nothing_is_empty_to_it() -> None:
    with pytest.raises(EmptyText):
        StaticEmbedder().embed(["\U0001f389 \U00020000 \ud800"])


def test_lone_surrogates_and_nul_are_text(embedder: Embedder) -> None:
    odd = embedder.embed(["lone \ud800 and \udfff", "nul \0 in it", "\ud83d\ude00 fox"])
    assert np.isfinite(odd).all()


@pytest.mark.parametrize("texts", [[b"bytes"], ["one", None], [1], "a str"])
def test_anything_but_texts_is_a_type_error(embedder: Embedder, texts: Any) -> None:
    with pytest.raises(TypeError, match=r"only a str can be embedded|list of texts"):
        embedder.embed(texts)


def test_subclasses_of_str_are_texts(embedder: Embedder) -> None:
    class Name(str):
        __slots__ = ()

    assert np.array_equal(embedder.embed([Name("fox")]), embedder.embed(["fox"]))
    assert np.array_equal(embedder.embed(list(np.array(["fox"]))), embedder.embed(["fox"]))


@pytest.mark.parametrize("dimension", [0, -1, 4097])
def test_a_dimension_that_no_store_can_hold_is_refused(dimension: int) -> None:
    with pytest.raises(ValueError, match="1 to 4096"):
        HashingEmbedder(dimension)
    with pytest.raises(ValueError, match="1 to 4096"):
        CallableEmbedder("any", dimension, lengths)


# ---------------------------------------------------------------- hashing


def test_hashing_finds_shared_words_in_any_case_and_order() -> None:
    one, two, other = HashingEmbedder().embed(
        ["Restart the SERVER", "server: restart (the)", "cake"]
    )
    assert one @ two > 0.999
    assert abs(one @ other) < 0.2


@pytest.mark.parametrize("dimension", [1, 7, 4096])
def test_hashing_works_in_any_dimension(dimension: int) -> None:
    assert HashingEmbedder(dimension).embed(["one two three four"]).shape == (1, dimension)


# ---------------------------------------------------------------- callables


def test_a_callable_is_asked_in_batches() -> None:
    asked = []

    def embed(texts: list[str]) -> list[list[float]]:
        asked.append(len(texts))
        return lengths(texts)

    found = CallableEmbedder("a", 2, embed, batch_size=2).embed(["a", "bb", "ccc", "d", "e"])
    assert asked == [2, 2, 1]
    assert found[:, 0].tolist() == [1, 2, 3, 1, 1]


def test_a_callable_is_not_asked_for_no_texts_nor_for_empty_ones() -> None:
    def never(_: list[str]) -> Any:
        raise AssertionError

    assert CallableEmbedder("a", 2, never).embed([]).shape == (0, 2)
    with pytest.raises(EmptyText):
        CallableEmbedder("a", 2, never, batch_size=1).embed(["fine", " "])


def test_a_callable_never_sees_a_lone_surrogate() -> None:
    seen: list[str] = []

    def embed(texts: list[str]) -> list[list[float]]:
        seen.extend(texts)
        return lengths(texts)

    CallableEmbedder("a", 2, embed).embed(["a\ud800"])
    assert seen == ["a\ufffd"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_callable_may_give_any_floats(dtype: type) -> None:
    found = CallableEmbedder("a", 2, lambda t: np.ones((len(t), 2), dtype)).embed(["a", "b"])
    assert found.dtype == np.dtype(np.float32)
    assert found.tolist() == [[1, 1], [1, 1]]


def test_a_callable_may_give_vectors_one_by_one() -> None:
    # As fastembed does.
    embedder = CallableEmbedder("a", 2, lambda t: (np.ones(2, np.float32) for _ in t))
    assert embedder.embed(["a", "b"]).tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    "made",
    [
        np.ones((1, 2)),
        np.ones((2, 3)),
        np.ones(4),
        np.ones((2, 2), np.int8),
        np.ones((2, 2), complex),
        [[1.0, 2.0], [1.0]],
        [["a", "b"], ["c", "d"]],
        None,
        [[1.0, np.nan], [1.0, 1.0]],
        [[1.0, 1.0], [1.0, np.inf]],
        [[1.0, 1e300], [1.0, 1.0]],
        [[1.0, 1.0], [0.0, 0.0]],
    ],
    ids=repr,
)
def test_a_callable_that_breaks_its_word_is_refused(made: Any) -> None:
    with pytest.raises(BadEmbedding) as caught:
        CallableEmbedder("mine/1", 2, lambda _: made).embed(["a", "b"])
    assert (caught.value.code, caught.value.context["embedder"]) == ("bad-embedding", "mine/1")


def test_a_promised_unit_length_is_checked() -> None:
    rows = np.array([[0.6, 0.8], [0.6, 0.9]])
    assert CallableEmbedder("a", 2, lambda _: rows).embed(["a", "b"]).shape == (2, 2)
    with pytest.raises(BadEmbedding) as caught:
        CallableEmbedder("a", 2, lambda _: rows, norm="unit").embed(["a", "b"])
    assert caught.value.context["index"] == 1
    half = (rows[:1].repeat(2, axis=0)).astype(np.float16)
    CallableEmbedder("a", 2, lambda _: half, norm="unit").embed(["a", "b"])


def test_what_a_callable_raises_comes_out_unchanged() -> None:
    def failing(_: list[str]) -> Any:
        raise ConnectionError("no route")

    with pytest.raises(ConnectionError, match="no route"):
        CallableEmbedder("a", 2, failing).embed(["a"])


def test_a_batch_of_no_texts_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        CallableEmbedder("a", 2, lengths, batch_size=0)


def test_sentence_transformers_fit_the_adapter() -> None:
    models = pytest.importorskip("sentence_transformers", reason="needs torch: not installed here")
    folder = os.environ.get("DACHI_MINILM") or pytest.skip(
        "DACHI_MINILM names no folder of a model"
    )
    model = models.SentenceTransformer(folder, device="cpu")
    embedder = CallableEmbedder("all-MiniLM-L6-v2", 384, model.encode, norm="unit")
    near, task, far = embedder.embed(["Build a REST API", "Create a web service", "Bake a cake"])
    assert near @ task > 0.3 > near @ far
