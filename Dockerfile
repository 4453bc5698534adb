# The images of all processes of jobrec. The compose file has their commands.
#   base    web, cache warmer, sidecar, beat, write worker, Flower: without the model
#   worker  embed worker and embedding server: with the model
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS base
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 JOBREC_DATA_DIR=/data STATIC_ROOT=/jobrec/.static
WORKDIR /jobrec
COPY requirements requirements
RUN pip install -r requirements/base.txt -c requirements/constraints.txt
RUN useradd --system --home /data jobrec && mkdir /data && chown jobrec /data
COPY . .
# Compiled here, since the user of the processes cannot write next to the code.
RUN python -m compileall -q apps jobrec_site proto workers
RUN SECRET_KEY=build python manage.py collectstatic --no-input --verbosity 0
USER jobrec
VOLUME /data

FROM base AS worker
USER root
# The CPU or CUDA build of torch, depending on the package index.
RUN pip install -r requirements/worker.txt -c requirements/constraints.txt
USER jobrec
