"""Archives: object stores by URL, and the backups of a store in them."""

from dachi_fast.archive._archive import Archive as Archive
from dachi_fast.archive._records import Backup as Backup
from dachi_fast.archive._records import BackupReport as BackupReport
from dachi_fast.archive._records import DrillReport as DrillReport
