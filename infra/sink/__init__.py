"""``forestall sink influx``: the topics become points, the points wait on disk, and InfluxDB has them in the end."""
