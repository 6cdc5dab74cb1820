#!/bin/sh
# The same bytes to a real Kafka and to Moldau, where a JDK and the Kafka peer are found.
exec python3 "$(dirname "$0")/../compat/oracle.py"
