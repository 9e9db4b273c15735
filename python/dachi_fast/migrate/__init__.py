"""What was saved by older classes becomes what the classes of today hold."""

from __future__ import annotations

from dachi_fast.migrate._report import Migrated as Migrated
from dachi_fast.migrate._report import MigrationReport as MigrationReport
from dachi_fast.migrate._steps import check_steps as check_steps
from dachi_fast.migrate._steps import declared_version as declared_version
from dachi_fast.migrate._steps import migration as migration
