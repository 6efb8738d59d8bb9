"""The vocabulary of nano's world: the word lists from which documents are written."""

FEMALE = """Anna Clara Eva Greta Helen Ida Julia Laura Maria Marta Nora Olivia Paula Rosa Sofia Tessa Vera Alice
Emma Fiona Hannah Irene Karen Lucy Mary Nina Ruth Sarah Susan Linda Mia Ella Zoe Grace Lena Diana""".split()
MALE = """Adam Ben Carl David Erik Felix George Henry Ivan Jack Karl Leo Mark Noah Oscar Peter Robert Simon Thomas
Victor Walter Paul John James Daniel Frank Hugo Martin Oliver Samuel Tom William Max Luke Aaron Omar""".split()
SURNAMES = """Adams Baker Carter Dixon Evans Fisher Grant Harris Jensen Keller Larsen Miller Novak Olsen Parker Quinn
Reed Smith Turner Vogel Weber Young Brown Clark Davis Hill Hunt King Lee Moore Stone Wood""".split()
TOWNS = """Alder Ashford Bramley Calder Dunmore Elmwood Fairview Glenn Harlow Kingston Linden Marston Newport Oakham
Preston Ridley Stanton Tilbury Upton Weston London Paris Berlin Rome Vienna Madrid Oslo Dublin Lisbon Prague""".split()
RIVERS = "Arrow Bourne Dart Esk Kennet Lark Medway Severn Tamar Wye Thames Danube".split()
SHIPS = """Albatross Aurora Dolphin Falcon Heron Juno Neptune Orion Pelican Phoenix Swallow Triton Venus Comet
Victory Endeavour""".split()
PLANETS = "Jupiter Saturn Mercury Apollo Atlas Delta Omega Titan Zenith Nova Sigma Polaris Horizon Meridian".split()
MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
COLOURS = "red blue green yellow orange purple black white brown grey pink silver golden cyan".split()
JOBS = """baker teacher doctor nurse farmer driver pilot painter writer singer lawyer cook carpenter gardener plumber
librarian engineer chemist tailor dentist sailor judge clerk miner photographer""".split()
ANIMALS = """dog cat horse rabbit parrot goat owl fox bear wolf lion tiger monkey turtle snake duck goose sheep
donkey penguin""".split()
FOODS = """apples bread cheese honey rice soup salmon pasta pancakes plums pears mushrooms chocolate potatoes onions
carrots beans grapes lemons nuts""".split()
CARGO = """timber coal salt wool tea coffee cotton sugar wheat glass copper iron paper spices oil bricks silk
marble grain fish""".split()
INSTRUMENTS = "piano violin guitar flute trumpet cello harp drums organ clarinet".split()
SPORTS = "tennis chess football swimming rowing hockey golf running sailing climbing".split()
LANGUAGES = "French German Spanish Italian Danish Polish Greek Latin Dutch Turkish English Swedish".split()
MATERIALS = "wood stone steel brick glass clay bronze leather plastic paper".split()
THINGS = """lamp clock chair table map coin knife bottle basket blanket mirror camera radio bicycle umbrella
suitcase ladder kettle ring key book letter hat coat drum box""".split()
TREES = "oak pine maple willow birch cedar elm ash".split()
STREETS = "Church Market Mill Park River Station School Garden Castle Bridge High Harbour".split()
BUSINESSES = "bakery bookshop pharmacy cafe garage hotel museum library bank cinema".split()

SHAPES = "circle square triangle star cross diamond ring heart hexagon oval".split()
POSITIONS = """north south east west northwest northeast southwest southeast centre top bottom left right middle
corner above below beside between upper lower""".split()
COUNTS = "zero one two three four five six seven eight nine ten eleven twelve none".split()
PICTURE = """a an the picture image scene background ground object objects shape shapes colour colours size small
large big tiny what which where how many is are there any of at in on to with and no not yes it its word says reads
draw paint make add remove move change recolour replace swap turn into keep everything else same generate describe
show delete put place erase blue red""".split()

SYLLABLE_STARTS = "b br c d dr f g gr h j k kr l m n p pr r s st t tr v w z th sh".split()
SYLLABLE_VOWELS = "a e i o u ai ea ou".split()
SYLLABLE_ENDS = "l m n r s t x nd rk lt n ss ck".split()
