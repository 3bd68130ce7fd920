"""All cases by name."""

from exactness.data import DATA
from exactness.events import EVENTS
from exactness.measures import MEASURES
from exactness.networks import NETWORKS, SIZES, WHOLE
from exactness.randomness import RANDOM
from exactness.rows import ROWS
from exactness.steps import STEPS
from exactness.updates import UPDATES

CASES = WHOLE | SIZES | NETWORKS | MEASURES | UPDATES | STEPS | RANDOM | EVENTS | ROWS | DATA
