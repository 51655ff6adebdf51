"""The states of a network along its training: taken, found in folders, made to fit."""
