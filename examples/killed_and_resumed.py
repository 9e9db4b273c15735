"""An agent is killed while it learns; the next process goes on from what was saved."""

import signal
import subprocess
import sys

from dachi_fast import Attr, BaseModule, KeyFile, Param, Store

LESSONS = 400


class Pupil(BaseModule):
    """Learns squares, one number a lesson."""

    power: int = Param(default=2)  # blueprint: what it is
    lessons: int = Attr(default=0)  # memory: what it learned
    squares: dict[int, int] = Attr(default_factory=dict)

    def study(self) -> None:
        self.squares[self.lessons] = self.lessons**self.power
        self.lessons += 1


def learn() -> None:
    with Store.open("school.store", keys=KeyFile("school.key")) as store:
        pupil = store.load("pupil", default=None) or Pupil()
        print("start", pupil.lessons, flush=True)
        while pupil.lessons < LESSONS:
            pupil.study()
            version = store.save(pupil, "pupil", justification=f"lesson {pupil.lessons}")
            print("saved", version.number, flush=True)  # the disk has it


def process() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__, "learn"], stdout=subprocess.PIPE, text=True)


def main() -> None:
    with process() as first:
        assert first.stdout is not None
        heard = []
        for line in first.stdout:
            heard.append(line)
            if line == "saved 50\n":
                first.kill()  # SIGKILL: it cannot tidy up
    assert first.returncode == -signal.SIGKILL
    saved = int(heard[-1].split()[1])

    with process() as second:
        text, _ = second.communicate()
    assert second.returncode == 0
    start = int(text.split()[1])

    with Store.open("school.store", keys=KeyFile("school.key")) as store:
        pupil = store.load("pupil")
        assert pupil.squares == {n: n * n for n in range(LESSONS)}
        proved = store.verify().versions
    assert saved <= start <= saved + 1  # a save may reach the disk that nobody heard of
    print(f"{saved} saves acknowledged, then killed; the next process went on at {start},")
    print(f"reached {pupil.lessons}, and all {proved} versions were proved")


if __name__ == "__main__":
    learn() if sys.argv[1:] == ["learn"] else main()
