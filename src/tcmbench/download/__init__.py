"""Fetching a file whole, or not at all, whatever goes wrong on the way.

Transfer is done by requests (redirects, TLS, proxies of the environment), locks by filelock; what
is ours is the order of mirrors, the resuming and the check. No ready downloader does all three:

- pooch writes each try into a new temporary file, so nothing is resumed; it takes one address a
  file, and reads the file again for its hash (its downloaders.py, and stream_download in core.py).
- huggingface_hub resumes and retries, for repositories of its hub only, and compares sizes, not
  hashes (file_download.http_get of 2.x).
- snakemake-storage-plugin-cached-http works inside Snakemake only and knows the hashes of three
  hosts, none of them ours (its README and CHANGELOG, 0.4); it takes one address a file.
- aria2 resumes from several addresses, but is a separate program; the Python wheels that hold it
  are builds of third parties.

One concern a file: `fetching` the way of one file, `transfer` one mirror until it gives up,
`answers` one request, `drive` Google's confirm page, `part` the bytes so far, `identity` the hash,
`trust` hashes of first use, `receipts` what was verified, `terms` licences, `links` the check of
all addresses.
"""

from tcmbench.download.fetching import fetch
from tcmbench.download.patience import Patience
from tcmbench.download.trust import Trust

__all__ = ["Patience", "Trust", "fetch"]
