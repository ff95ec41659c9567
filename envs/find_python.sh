#!/bin/sh
# Print the path of the first Python of a supported version with the modules `venv` and `pip`, or
# `ensurepip`, which brings pip along: the one named, or any on the PATH under its usual names.
# Without one, say what was found.
#
# envs/find_python.sh COMMAND [PYTHON]    COMMAND is what the user typed, for the sentence.
command=$1
named=$2
found=
seen=

judge='
import importlib.util, os, shutil, sys, sysconfig
version = "%d.%d.%d" % sys.version_info[:3]
if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    print(version)
else:
    has = importlib.util.find_spec
    lacks = [] if has("venv") else ["venv"]
    if not has("pip") and not has("ensurepip"):
        lacks.append("pip")
    # Of immutables, which Snakemake needs, there is no wheel for 3.14: it is compiled.
    if sys.version_info >= (3, 14):
        if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
            lacks.append("Python.h")
        if not shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]):
            lacks.append("gcc")
    print(" ".join([version, "without"] + lacks) if lacks else sys.executable)
'

# What the packages with these are called, by distribution.
packages() {
  id=$(. /etc/os-release 2> /dev/null && echo "$ID $ID_LIKE")
  compiled=
  case $found in *Python.h* | *gcc*) compiled=yes ;; esac
  case " $id " in
    *" debian "* | *" ubuntu "*)
      echo "apt install python3-venv python3-pip${compiled:+ python3-dev gcc}" ;;
    *" fedora "* | *" rhel "* | *" centos "*)
      echo "dnf install python3-pip${compiled:+ python3-devel gcc}" ;;
    *" arch "*) echo "pacman -S python-pip${compiled:+ gcc}" ;;
    *" alpine "*) echo "apk add python3 py3-pip${compiled:+ python3-dev gcc musl-dev}" ;;
    *suse*) echo "zypper install python3-pip${compiled:+ python3-devel gcc}" ;;
    *) echo "the packages python3-venv and python3-pip${compiled:+, python3-dev and gcc} of your" \
      "distribution" ;;
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
    ?*)
      # /bin is often /usr/bin, and python3 one of the others.
      for other in $seen; do
        [ ! "$1" -ef "$other" ] || return 0
      done
      seen="$seen:$1"
      found="$found${found:+, }$1 is $verdict"
      ;;
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
