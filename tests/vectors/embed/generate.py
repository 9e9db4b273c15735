"""Makes the known answers of the default embedder with model2vec itself.

python generate.py FOLDER, with the packages of `tools/make_static_model.py` and the FOLDER that it
filled.
"""

from __future__ import annotations

import ast
import hashlib
import json
import random
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SENTENCES, LONG = 300, 20
BLOCK = 0x1000
ODD = [
    "Größe, Ärger und Straße: ÜBERGRÖSSE ẞ",
    "Où est la bibliothèque ? À côté du café « Œuvre ».",
    "¿Dónde está el baño? ¡Mañana, señor!",
    "Привет, мир! Ёлка и йод.",
    "Καλημέρα κόσμε, ΣΊΣΥΦΟΣ ὦ ἄνθρωπε; τί",
    "שלום עולם, מה שלומך?",
    "مرحبا بالعالم، كيف حالك؟ ١٢٣",
    "नमस्ते दुनिया, यह क्षेत्र है।",
    "你好，世界。今天天氣很好！豈更",
    "こんにちは世界、カタカナとｶﾀｶﾅ。",
    "안녕하세요 세계, 각 값 한글",
    "สวัสดีชาวโลก ไทย and one word that is known",
    "Xin chào thế giới, tiếng Việt",
    "emoji 🎉 and 👩‍👩‍👧‍👦 and ☃ in text",
    "ﬁne ﬂuﬀy ligatures, ①②③, ½, ™, Ⅷ",
    "e\u0301 and \u00e9, A\u030a and \u00c5, \u1e9b\u0323",
    "zero\u200bwidth\u200djoin\ufeff soft\u00adhyphen",
    "a\x00nul \x07bell \x1b[31mred\x7f tab\tline\nreturn\rnext\u0085paragraph\u2029end",
    "no-break\u00a0space, thin\u2009space, ideographic\u3000space",
    "x" * 100,
    "x" * 101 + " after a word that is too long",
    "unaffable " + "supercalifragilisticexpialidocious" * 3,
    "1,234.56 -7e+10 0x1F $9.99 50% #tag @user C++ C# .NET",
    "https://example.org/a/b?c=d&e=%20f#g user@example.com",
    "def embed(self, texts: list[str]) -> np.ndarray: return self._model.embed(texts)",
    '{"kind": "Sequence", "tasks": [1, 2.5, null, true]}',
    "state_dict() load_state_dict() __init__ snake_case camelCase SCREAMING_CASE",
    "``code`` *emphasis* **strong** ~~gone~~ [link](url) | table | `x`",
    "don't can't it's o'clock rock'n'roll \u2018quoted\u2019 \u201ctext\u201d \u2026 \u2013 \u2014",
    "\U0001d400\U0001d401 \U0001f1e9\U0001f1ea \U00020000 \U000e0041 \U0010ffff \ufffd \ue000 word",
    "##ing ##s # # [CLS] [SEP] [MASK] [unused1]",
]


def docstrings() -> Iterator[str]:
    """Gives every docstring of the standard library's single files."""
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                yield ast.get_docstring(node) or ""


def texts() -> list[str]:
    """Gives real sentences, whole docstrings, and what is rare."""
    whole = sorted(set(docstrings()))
    parts = {" ".join(part.split()) for text in whole for part in re.split(r"\n\s*\n", text)}
    chosen = random.Random(1).sample(sorted(part for part in parts if len(part) > 20), SENTENCES)
    return [*chosen, *random.Random(2).sample([t for t in whole if len(t) > 2000], LONG), *ODD]


def letters(start: int) -> str:
    """Gives a block of Unicode's letters in the midst of words, alone, and twice."""
    numbers = (n for n in range(start, start + BLOCK) if not 0xD800 <= n < 0xE000)
    return "\n".join(f"re{chr(n)}ing {chr(n)} {chr(n)}{chr(n)}the{chr(n)}" for n in numbers)


def digest(ids: list[int]) -> str:
    """Gives what tells lists of numbers apart."""
    return hashlib.sha256(np.array(ids, "<u4").tobytes()).hexdigest()[:16]


def main() -> None:
    """Writes the three files."""
    # Only here: the tests use the rest of this file.
    from model2vec import StaticModel

    path = Path(sys.argv[1]) / "model2vec"
    model = StaticModel.from_pretrained(path, force_download=False, max_length=None)
    chosen = texts()
    cases = zip(chosen, model.tokenize(chosen), strict=True)
    lines = [json.dumps({"text": text, "ids": ids}) for text, ids in cases]
    (HERE / "texts.jsonl").write_text("\n".join(lines) + "\n")
    np.save(HERE / "vectors.npy", model.encode(chosen, normalize=True).astype(np.float16))
    blocks = [digest(model.tokenize([letters(start)])[0]) for start in range(0, 0x110000, BLOCK)]
    (HERE / "letters.txt").write_text("\n".join(blocks) + "\n")


if __name__ == "__main__":
    main()
