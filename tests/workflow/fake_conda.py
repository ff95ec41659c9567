"""A `conda` that notes what it is asked, and makes environments of the python at hand."""

import os
import sys
from pathlib import Path

# $CALLS, $BASE and $INTERPRETER are written into it.
TOOL = """#!/bin/bash
echo "$* PYTHONNOUSERSITE=$PYTHONNOUSERSITE" >> "$CALLS"
case "$*" in
  "info --json") echo '{"conda_prefix": "$BASE", "platform": "linux-64"}' ;;
  --version) echo "conda 26.7.1" ;;
  "config --get channel_priority --json") echo '{"get": {"channel_priority": "strict"}}' ;;
  "env create"*)
    while [ "$1" != --prefix ]; do shift; done
    mkdir -p "$2/bin" && printf '#!/bin/sh\\nexec $INTERPRETER "$@"\\n' > "$2/bin/python"
    chmod +x "$2/bin/python" ;;
esac
"""


class FakeConda:
    """What is put on the path, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        """Write the command and its `activate` below a folder."""
        self.calls_file = folder / "calls.txt"
        self.path = str(folder / "bin")
        text = TOOL.replace("$CALLS", str(self.calls_file)).replace("$BASE", str(folder))
        # A virtual environment's python never sees the user's packages; the one below it does.
        base = os.path.realpath(sys.executable)
        (folder / "bin").mkdir(parents=True)
        (folder / "bin/conda").write_text(text.replace("$INTERPRETER", base))
        (folder / "bin/conda").chmod(0o755)
        (folder / "bin/activate").write_text('export PATH="$1/bin:$PATH"\n')

    def created(self) -> list[str]:
        """The calls that make an environment."""
        calls = self.calls_file.read_text() if self.calls_file.exists() else ""
        return [line for line in calls.splitlines() if line.startswith("env create")]
