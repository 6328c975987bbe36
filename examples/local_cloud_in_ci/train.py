"""The training that runs in the studio."""

from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

images, digits = load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(images, digits, random_state=0, stratify=digits)
score = SVC(gamma=0.001).fit(train_x, train_y).score(test_x, test_y)
Path("score.txt").write_text(str(score))
