"""What a post voices. All of the program that needs numpy is here.

The encoder's matrices are small: several threads for one product wait for each other longer than they work, and on a
machine that has other work to do they take twenty times as long. The setting is read when numpy is first imported.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
