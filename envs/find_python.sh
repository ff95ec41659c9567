#!/bin/sh
# Print the path of the first Python of a supported version with the modules `venv` and `pip`: the
# one named, or any on the PATH under its usual names. Without one, say what was found.
#
# envs/find_python.sh COMMAND [PYTHON]    COMMAND is what the user typed, for the sentence.
command=$1
named=$2
found=

judge='
import importlib.util, sys
version = "%d.%d.%d" % sys.version_info[:3]
if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    print(version)
else:
    lacks = [name for name in ("venv", "pip") if importlib.util.find_spec(name) is None]
    print(" ".join([version, "without"] + lacks) if lacks else sys.executable)
'

# What the packages with both modules are called, by distribution.
packages() {
  id=$(. /etc/os-release 2> /dev/null && echo "$ID $ID_LIKE")
  case " $id " in
    *" debian "* | *" ubuntu "*) echo "apt install python3-venv python3-pip" ;;
    *" fedora "* | *" rhel "* | *" centos "*) echo "dnf install python3-pip" ;;
    *" arch "*) echo "pacman -S python-pip" ;;
    *" alpine "*) echo "apk add python3 py3-pip" ;;
    *suse*) echo "zypper install python3-pip" ;;
    *) echo "the package python3-pip or python3-venv of your distribution" ;;
  esac
}

# Take a Python, or note what is wrong with it.
try() {
  # A shim of pyenv is there for versions that it then refuses to start.
  verdict=$("$1" -c "$judge" 2> /dev/null) || return 0
  case $verdict in
    /*)
      [ -z "$found" ] || [ -z "$named" ] || echo "note: $found; taking $verdict" >&2
      echo "$verdict"
      exit 0
      ;;
    ?*) found="$found${found:+, }$1 is $verdict" ;;
  esac
}

[ -z "$named" ] || try "$named"
IFS=:
for name in python3 python3.14 python3.13 python3.12 python3.11; do
  # An activated environment without pip must not hide the Python behind it.
  for folder in $PATH; do
    [ ! -x "$folder/$name" ] || [ "$folder/$name" = "$named" ] || try "$folder/$name"
  done
done
unset IFS

case $found in *without*) install=" (install what it lacks: $(packages))" ;; esac
echo "tcm-bench needs Python 3.11 to 3.14 with pip, but ${found:-none starts here}$install; name" \
  "another one: $command PYTHON=/path/to/python" >&2
exit 2
