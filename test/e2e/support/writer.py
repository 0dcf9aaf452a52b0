# A client that writes without pause and reconnects when it has to: writer.py HOST DATABASE NAME. One line on standard
# output for each acknowledged row (`ok NUMBER SECONDS`) and for each failure (`failed SECONDS MESSAGE`).
#
# There is no statement_timeout: a COMMIT that is cancelled while it waits for a standby succeeds with a warning, and what
# it acknowledges may be lost (PostgreSQL, "Synchronous Replication").
import sys
import time

import psycopg

host, database, name = sys.argv[1:]
number = 0
connection = None
while True:
    number += 1  # a number is never used twice: whether a failed statement was carried out is not known
    try:
        if connection is None:
            connection = psycopg.connect(
                host=host,
                dbname=database,
                user="postgres",
                connect_timeout=5,
                tcp_user_timeout=5000,
                autocommit=True,
            )
        connection.execute("INSERT INTO writes VALUES (%s, %s)", (number, name))
        print(f"ok {number} {time.monotonic():.3f}", flush=True)
    except psycopg.Error as error:
        print(f"failed {time.monotonic():.3f} {str(error).splitlines()[0]}", flush=True)
        if connection is not None:
            connection.close()
        connection = None
    time.sleep(0.03)
