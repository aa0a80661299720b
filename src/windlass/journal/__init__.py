"""The record of finished work, kept in the target, where it commits together with the rows."""
