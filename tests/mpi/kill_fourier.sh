#!/usr/bin/env bash
# kill.sh for the Fourier recipe, with fewer kills.
RECIPE=fourier KILLS=${KILLS:-8} exec bash "$(dirname "$0")/kill.sh"
