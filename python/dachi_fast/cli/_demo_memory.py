"""The part of the demo that recalls by meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dachi_fast.cli._demo_screen import Step, Table
from dachi_fast.cli._demo_worker import NAME, Job

if TYPE_CHECKING:
    from dachi_fast import Recalled, Store, SyncMemory
    from dachi_fast.cli._demo_evidence import Evidence

_BATCH = 200
_SHOWN = 4
_WIDTH = 38  # of a sentence in the table


def recalled(store: Store, job: Job) -> Evidence:
    """Remembers what was learned, one lie beside it, and asks by meaning."""
    learned = [sentence for batch in job.batches for sentence in batch]
    memory = store.memory(NAME).sync
    for start in range(0, len(learned), _BATCH):
        _remember(memory, learned[start : start + _BATCH])
    lie = memory.store_task(
        {"description": job.held_out[0][0]}, "a lie", source="a web page", trust="web"
    )
    answers = [memory.retrieve_similar_tasks(text, limit=1)[0] for text, _ in job.held_out]
    asked = zip(job.held_out, answers, strict=True)
    right = sum(label == found.result for (_, label), found in asked) / len(answers)
    commonest = Counter(label for _, label in job.held_out).most_common(1)[0][1] / len(answers)
    some = learned[:: len(learned) // 20]
    itself = [memory.retrieve_similar_tasks(text, limit=1)[0].cosine for text, _ in some]
    step = Step(
        name="recall",
        what=f"The store remembers all {len(learned):,} sentences by meaning, too: the one nearest "
        f"to a held-out sentence documents the same module {right:.1%} of the time.",
        why=f"No module is in more than {commonest:.1%} of what was asked; a lie that came from "
        "the web says word for word what is asked first, and is not recalled: it is quarantined.",
        holds={
            "what is remembered is found by itself": min(itself) > 0.999,  # of 16-bit vectors
            "meaning finds more than the commonest answer would": right > 2 * commonest,
            "what the web said is not recalled": lie not in {found.id for found in answers},
        },
        table=_table(job, answers),
    )
    return step, {"memories": len(learned), "right": right, "commonest": commonest}


def _remember(memory: SyncMemory, sentences: Sequence[tuple[str, str]]) -> None:
    memory.store_tasks(
        {"task_envelope": {"description": text}, "result": label, "source": label}
        for text, label in sentences
    )


def _table(job: Job, answers: Sequence[Recalled]) -> Table:
    pairs = [(text, found) for (text, _), found in zip(job.held_out, answers, strict=True)]
    plain = [(text, found) for text, found in pairs if (text + found.text).isascii()]
    plain.sort(key=lambda pair: -pair[1].cosine)
    # From the nearest down, and none that is the same sentence but for its numbers.
    shown = [(text, found) for text, found in plain if found.cosine < 0.9][:_SHOWN]
    rows = [[_cut(text), _cut(found.text), f"{found.cosine:.2f}"] for text, found in shown]
    return Table(heads=["asked", "recalled", "cosine"], aligned="llr", rows=rows)


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
