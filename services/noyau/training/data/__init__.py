"""Datasets: pairs of images and annotations, found, checked, split by specimen and put on record."""

from noyau.training.data.facts import Facts
from noyau.training.data.opening import Dataset, PairRef, open_dataset
from noyau.training.data.record import RECORD_NAME, dataset_record
from noyau.training.data.splitting import Split, split_dataset
from noyau.training.data.values import Pixels, Problem, Readers

__all__ = [
    "RECORD_NAME",
    "Dataset",
    "Facts",
    "PairRef",
    "Pixels",
    "Problem",
    "Readers",
    "Split",
    "dataset_record",
    "open_dataset",
    "split_dataset",
]
