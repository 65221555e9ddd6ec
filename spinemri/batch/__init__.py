"""Cohorts: many studies at once, on one machine or many, with a journal that loses nothing.

Its libraries are the extra ``batch``. `spinemri.batch.run.run_batch` is the way in; what runs on a worker
(`spinemri.batch.child`) imports none of them.
"""
