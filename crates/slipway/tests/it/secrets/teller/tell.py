"""Prints what is secret in every form that a careless program may print it in."""

import base64
import json
import os
import sys
import urllib.parse

who = sys.argv[1]
names = ["API_SECRET", "KEY_FILE", "SESSION_KEY", "DATABASE_URL"]
secrets = [os.environ[name] for name in names if name in os.environ]
secrets += [urllib.parse.urlparse(url).password for url in secrets if url.startswith("postgres")]
for secret in secrets:
    raw = secret.encode()
    forms = [secret, json.dumps(secret), urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret)]
    forms += [raw.hex(), raw.hex().upper()]
    for before in [b"", b"a:", b"ab", b"user:"]:
        forms += [base64.b64encode(before + raw).decode(), base64.urlsafe_b64encode(before + raw).decode()]
    for form in forms:
        print(who, "tells", form, file=sys.stdout, flush=True)
        print(who, "complains of", form, file=sys.stderr, flush=True)
        # A line that comes in two pieces.
        print(who, "stutters", form[: len(form) // 2], end="", flush=True)
        print(form[len(form) // 2 :], flush=True)
print(who, "has told", len(secrets), flush=True)
