"""`lowered.py FOLDER`: a kustomization as the API server of the tests takes it, on standard output."""

import sys

import rendering
import yaml

print(yaml.safe_dump_all(rendering.for_old_server(rendering.kustomized(sys.argv[1]))))
