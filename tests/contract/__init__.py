"""What every mirrored storage must do, stated once, and run for every rig of `tests.rigs`.

A test asks two kinds of things what it may demand: the storage class says what it can do, in attributes that users
and the documentation read too; the rig says what the server of the tests can show.
"""
