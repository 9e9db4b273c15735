"""Searching vectors by nearness, in memory.

`Auto` is what to use: it chooses how it searches by how many vectors there are. `Exact`, `Int8`,
`Signs` and `Hnsw` search one way each, and `Hnswlib` is the package of that name. All of them
follow one protocol, `dachi_fast.types.VectorIndex`, and one contract, held by a test that compares
them with exact search.

Ids are whole numbers from 0 to 2**64 - 1: what numpy has a type for, so that a million of them go
through without becoming Python objects. Who has other keys numbers them.
"""

from dachi_fast.vectors._hnswlib import Hnswlib as Hnswlib
from dachi_fast.vectors._index import Auto as Auto
from dachi_fast.vectors._index import Exact as Exact
from dachi_fast.vectors._index import Found as Found
from dachi_fast.vectors._index import Hnsw as Hnsw
from dachi_fast.vectors._index import Int8 as Int8
from dachi_fast.vectors._index import Metric as Metric
from dachi_fast.vectors._index import Signs as Signs
from dachi_fast.vectors._index import Stats as Stats
from dachi_fast.vectors._index import Subset as Subset
