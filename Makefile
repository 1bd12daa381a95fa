# Everything a newcomer needs. `make demo` does the main job, `make test` proves it.
PYTHON ?= python3.11
VENV   ?= .venv
BIN     = $(VENV)/bin
STAMP   = $(VENV)/.installed
OMERO   = $(VENV)/.omero
WEB     = $(VENV)/.omero-web
DEMO    = demo
INPUT  ?=
LABELS ?= nuclei
VARIANT ?= cpu

.PHONY: demo test test-omero test-containers image image-base ice lint serve bench fuzz proto lock install clean help

help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 12

install: $(STAMP) ## virtual environment with the locked packages and noyau itself

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip setuptools
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP)   ## segment a synthetic volume (or INPUT=<ome-zarr>) through the service, and say where the results are
ifeq ($(INPUT),)
	@mkdir -p $(DEMO)
	$(BIN)/noyau synth $(DEMO)/embryo.ome.zarr --shape 48,200,200 --voxel-size 1.75,0.8,0.8 --recipe embryo --seed 3 --overwrite
	$(BIN)/noyau segment $(DEMO)/embryo.ome.zarr --model nuclei-3d --labels $(LABELS) --local --overwrite
	$(BIN)/noyau evaluate $(DEMO)/embryo.ome.zarr $(DEMO)/embryo.ome.zarr --labels $(LABELS) --truth-labels truth
else
	$(BIN)/noyau segment $(INPUT) --labels $(LABELS) --local
endif

ice: $(STAMP)    ## wheel of Ice for OMERO's client, built once (5 minutes) and kept in the user's cache
	$(BIN)/python deploy/ice/build_wheel.py

# Where Ice cannot be built the OMERO tests are skipped and say why; everything else works without.
$(OMERO): $(STAMP) requirements-omero.lock deploy/ice/build_wheel.py deploy/ice/headers.py deploy/ice/source_patches.py
	@if $(BIN)/python deploy/ice/build_wheel.py --install 2> $(OMERO)-missing; then \
	  rm $(OMERO)-missing && $(BIN)/python -m pip install --quiet --no-deps -r requirements-omero.lock && touch $(OMERO); \
	else cat $(OMERO)-missing >&2; fi

# OMERO.web and a browser; tests that need what cannot be had are skipped and say so.
$(WEB): $(OMERO) requirements-omero-web.lock
	@if [ -e $(OMERO) ]; then \
	  $(BIN)/python -m pip install --quiet --no-deps -r requirements-omero-web.lock && touch $(WEB) \
	    || echo "OMERO.web could not be installed, its tests are skipped." >&2; \
	  bash tests/omero_web/get_chromium.sh; \
	fi

test: $(STAMP) $(OMERO) $(WEB) ## lint and every test that can run here
	$(BIN)/ruff check services tests deploy
	$(BIN)/ruff format --check services tests deploy
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile

test-omero: $(STAMP) $(OMERO) $(WEB) ## the OMERO tests: simulated server, or the one that OMERO_HOST names
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadgroup tests/omero tests/omero_web

image: $(STAMP)  ## container image noyau:<version>, or with VARIANT=cuda noyau:<version>-cuda
	$(BIN)/python deploy/image/build_image.py --variant $(VARIANT)

image-base: $(STAMP) # where no registry can be reached: debian:bookworm-slim by debootstrap, as root
	$(BIN)/python deploy/image/base.py

test-containers: image ## the image in containers with PostgreSQL and S3, killed and stopped in the middle of jobs
	$(BIN)/python deploy/image/build_test_images.py
	CONTAINER_TESTS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/containers

lint: $(STAMP)   ## formatting, types and import rules only
	$(BIN)/ruff check --fix services tests deploy
	$(BIN)/ruff format services tests deploy
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

serve: $(STAMP)  ## the service on 127.0.0.1:50051
	$(BIN)/noyau serve

bench: $(STAMP)  ## ratios measured side by side on this machine
	$(BIN)/noyau bench

MINUTES = 10
SEED    = 1
fuzz: $(STAMP)   ## rubbish to every RPC of a service of its own, for MINUTES=10 from SEED=1; tells what came back
	$(BIN)/python tests/system/attack/fuzz.py --minutes $(MINUTES) --seed $(SEED)

proto: $(STAMP)  ## regenerate the Python code of proto/
	$(BIN)/python -m noyau.api.generate

lock: $(STAMP)   ## renew requirements.lock from what is installed
	$(BIN)/python -m pip install --quiet --upgrade ".[openvino,test]"
	$(BIN)/python -m pip freeze --exclude-editable --exclude noyau | sed -E 's/^(torch==[0-9.]+)\+.*/\1/' \
	  | grep -vixF -f requirements-omero.lock -f requirements-omero-web.lock | grep -v '^zeroc-ice' > requirements.lock

clean:           ## remove what make made here
	rm -rf $(VENV) $(DEMO) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
