"""The English side of the word problems: 33 stories, each in several wordings.

The numbers {a}, {b}, {c} and, in three-step forms, {d} and what is done with them are in `word_plans`.
A question is one opening, one event and one ask; a three-step form puts one of `more` before the ask.
"""

from alignment.starter.word_plans import Story

DOLLARS = ("dollar", "dollars", "$")
MINUTES = ("minute", "minutes", "min")
PAGES = ("page", "pages")

STORIES = {
    "bags": Story(
        "fruit",
        (
            "{name} buys {a} bags of {things} with {b} in each bag.",
            "There are {a} bags with {b} {things} each.",
        ),
        ("{name} eats {c} of them.", "Then {c} of the {things} are eaten."),
        ("How many {things} are left?", "How many {things} remain?"),
        ("{things} in the bags", "{things} left", "{things} now"),
        ("Later {name} picks {d} more {things}.", "After that, {d} more {things} are put on the table."),
        ("How many {things} are there now?", "How many {things} are there in the end?"),
    ),
    "change": Story(
        DOLLARS,
        (
            "{name} buys {a} {things} for {b} dollars each.",
            "One of the {things} costs {b} dollars and {name} buys {a}.",
        ),
        ("{name} pays with {c} dollars.", "{name} gives the seller {c} dollars."),
        ("How much change does {name} get?", "How many dollars does {name} get back?"),
        ("cost", "change", "money in the end"),
        ("At home {name} already has {d} dollars.", "{name} had another {d} dollars at home."),
        (
            "With the change, how many dollars does {name} have now?",
            "How much money is that with the change?",
        ),
        things="school",
    ),
    "sharing": Story(
        "toys",
        (
            "{name} has {a} {things} and gets {b} more.",
            "{name} finds {a} {things} in one box and {b} in another.",
        ),
        ("All of them are shared equally among {c} friends.", "{c} children share them all equally."),
        ("How many {things} does each one get?", "How many {things} are there for each one?"),
        ("{things} in all", "{things} for each", "{things} now"),
        ("One of those sharing already had {d} {things}.", "One of them had {d} {things} before."),
        ("How many {things} does that one have now?", "How many {things} does this person have altogether?"),
    ),
    "reading": Story(
        PAGES,
        ("{name} reads {a} pages a day for {b} days.", "For {b} days, {name} reads {a} pages every day."),
        ("The book has {c} pages.", "There are {c} pages in the book."),
        ("How many pages are left to read?", "How many pages does {name} still have to read?"),
        ("pages read", "pages left", "pages left after that"),
        ("On the weekend {name} reads {d} more pages.", "Then {name} reads another {d} pages."),
        ("How many pages are left in the end?", "How many pages are left then?"),
    ),
    "savings": Story(
        DOLLARS,
        (
            "{name} saves {a} dollars a week for {b} weeks.",
            "Every week for {b} weeks, {name} saves {a} dollars.",
        ),
        ("{name} also had {c} dollars before.", "There were already {c} dollars in the money box."),
        ("How much money does {name} have now?", "How many dollars has {name} got in all?"),
        ("money saved", "money in all", "money left"),
        ("Then {name} buys a game for {d} dollars.", "Then {name} spends {d} dollars on a present."),
        ("How much money is left?", "How many dollars does {name} have left?"),
    ),
    "work": Story(
        DOLLARS,
        (
            "{name} works {a} hours and earns {b} dollars an hour.",
            "For {b} dollars an hour, {name} works {a} hours.",
        ),
        ("For good work there are {c} dollars extra.", "{name} also gets a tip of {c} dollars."),
        ("How much does {name} earn?", "How many dollars does {name} get in all?"),
        ("pay for the hours", "pay in all", "pay left"),
        ("The bus to work costs {d} dollars.", "{name} spends {d} dollars on lunch."),
        ("How much money is left?", "How many dollars are left after that?"),
    ),
    "bus": Story(
        ("person", "people", "passenger", "passengers"),
        ("A bus leaves with {a} people.", "There are {a} people on a bus."),
        ("At the first stop {b} get off and {c} get on.", "Then {b} people get off and {c} people get on."),
        ("How many people are on the bus now?", "How many people does the bus carry now?"),
        ("people who stay", "people after the stop", "people in the end"),
        ("At the next stop {d} more get on.", "A little later {d} more people get on."),
        ("How many people are on the bus in the end?", "How many people are on the bus after that?"),
    ),
    "trip": Story(
        ("kilometer", "kilometers", "km", "kilometre", "kilometres"),
        ("A car drives {a} km an hour for {b} hours.", "{name} drives for {b} hours at {a} km an hour."),
        ("The whole way is {c} km.", "The trip is {c} km long."),
        ("How many kilometers are left?", "How many kilometers are still to go?"),
        ("kilometers driven", "kilometers left", "kilometers left after that"),
        ("After a break, the car goes {d} km more.", "Then come another {d} km by car."),
        ("How many kilometers are left after that?", "How many kilometers are left then?"),
    ),
    "recipe": Story(
        ("gram", "grams", "g"),
        (
            "One cake needs {a} grams of sugar, and {name} bakes {b} cakes.",
            "{name} bakes {b} cakes with {a} grams of sugar each.",
        ),
        ("There are {c} grams of sugar in the kitchen.", "{name} has {c} grams of sugar."),
        ("How many grams of sugar are left?", "How much sugar is left over?"),
        ("sugar needed", "sugar left", "sugar in the end"),
        ("Then {name} buys {d} grams more.", "After that, {name} gets {d} more grams of sugar."),
        ("How many grams of sugar are there in the end?", "How much sugar does {name} have now?"),
    ),
    "classes": Story(
        ("student", "students", "child", "children"),
        (
            "A school has {a} classes of {b} students each.",
            "There are {a} classes with {b} students in each class.",
        ),
        ("Today {c} students are ill.", "{c} students are absent today."),
        ("How many students are at school?", "How many students are here today?"),
        ("students in the classes", "students here", "students in the end"),
        ("Then {d} visiting students arrive.", "A bus brings {d} more students."),
        ("How many students are there now?", "How many students are at the school in the end?"),
    ),
    "garden": Story(
        "plants",
        ("A garden has {a} rows of {b} {things}.", "{name} plants {a} rows with {b} {things} in each row."),
        ("{c} more {things} grow by the fence.", "Along the wall {name} plants {c} more {things}."),
        ("How many {things} are in the garden?", "How many {things} are there in all?"),
        ("{things} in rows", "{things} in all", "{things} left"),
        ("In a storm {d} of the {things} are lost.", "Then {d} of the {things} die in the cold."),
        ("How many {things} are left in the garden?", "How many {things} are still growing?"),
    ),
    "temperature": Story(
        ("degree", "degrees", "°"),
        ("In the morning it is {a} degrees.", "The day begins at {a} degrees."),
        (
            "By noon it is {b} degrees warmer, and by night it falls by {c} degrees.",
            "It warms by {b} degrees, then cools by {c} degrees.",
        ),
        ("How many degrees is it at night?", "What is the temperature at night in degrees?"),
        ("degrees at noon", "degrees at night"),
    ),
    "tickets": Story(
        DOLLARS,
        (
            "{a} adults go to the zoo at {b} dollars each.",
            "{a} adult tickets for a show cost {b} dollars each.",
        ),
        (
            "The tickets for the children cost {c} dollars together.",
            "For the children they pay {c} dollars in all.",
        ),
        ("How much do all the tickets cost?", "How many dollars are all the tickets?"),
        ("adult tickets", "all tickets", "price to pay"),
        ("A coupon takes {d} dollars off.", "With a coupon they save {d} dollars."),
        ("How much do they pay?", "How many dollars do they pay in the end?"),
    ),
    "ages": Story(
        ("year", "years"),
        ("{name} is {a} years old.", "Today {name} turns {a}."),
        (
            "{other} is {b} times as old, and their aunt is {c} years older than {other}.",
            "{other} is {b} times that age. The aunt is {c} years older than {other}.",
        ),
        ("How old is the aunt in years?", "How many years old is the aunt?"),
        ("age of {other}", "age of the aunt"),
    ),
    "pocket_money": Story(
        DOLLARS,
        ("{name} has {a} dollars.", "There are {a} dollars in {name}'s purse."),
        (
            "{name} spends {b} dollars on food and {c} dollars on a book.",
            "A shirt costs {b} dollars and a cap costs {c} dollars; {name} buys both.",
        ),
        ("How much money is left?", "How many dollars does {name} still have?"),
        ("money after the first buy", "money left", "money in the end"),
        ("Then {name}'s mother gives {name} {d} dollars.", "Grandma then gives {name} {d} dollars."),
        ("How much money does {name} have now?", "How many dollars does {name} have in the end?"),
    ),
    "homework": Story(
        MINUTES,
        (
            "{name} does {a} math problems, each taking {b} minutes.",
            "Each of {name}'s {a} exercises takes {b} minutes.",
        ),
        ("Reading takes {c} minutes more.", "Then {name} reads for {c} minutes."),
        ("How many minutes does it all take?", "How long does {name} work in minutes?"),
        ("minutes for the exercises", "minutes in all", "minutes with music"),
        (
            "After that comes music practice for {d} minutes.",
            "Finally {name} plays the piano for {d} minutes.",
        ),
        ("How many minutes is that altogether?", "How many minutes is {name} busy in all?"),
    ),
    "bakery": Story(
        "baked",
        (
            "A baker makes {a} trays of {b} {things}.",
            "{a} trays come out of the oven with {b} {things} each.",
        ),
        ("By noon {c} {things} are sold.", "The shop sells {c} of the {things}."),
        ("How many {things} are left?", "How many {things} are still in the shop?"),
        ("{things} baked", "{things} left", "{things} in the end"),
        ("Then {d} more {things} are baked.", "The baker then makes another {d} {things}."),
        ("How many {things} are there now?", "How many {things} does the shop have now?"),
    ),
    "farm": Story(
        "animals",
        ("A farm has {a} {things}.", "{name} keeps {a} {things} on a farm."),
        ("{b} are sold and then {c} are born.", "The farm sells {b} {things}, and {c} young ones are born."),
        ("How many {things} are on the farm now?", "How many {things} does the farm have now?"),
        ("{things} after the sale", "{things} now"),
    ),
    "boxes": Story(
        "school",
        ("{name} packs {a} {things} into boxes of {b}.", "{a} {things} are put into boxes, {b} in each box."),
        ("There were already {c} full boxes.", "{c} more boxes come from the shop."),
        ("How many boxes are there in all?", "How many boxes is that altogether?"),
        ("boxes packed", "boxes in all"),
        unit=("box", "boxes"),
    ),
    "library": Story(
        ("book", "books"),
        (
            "A library has {a} books on one shelf and {b} on another.",
            "On two shelves there are {a} books and {b} books.",
        ),
        ("Readers borrow {c} books.", "{c} of the books are lent out."),
        ("How many books are left?", "How many books are still on the shelves?"),
        ("books on the shelves", "books left", "books after the return"),
        ("Then {d} books come back.", "In the evening {d} books are returned."),
        ("How many books are there now?", "How many books are on the shelves in the end?"),
    ),
    "stickers": Story(
        "toys",
        ("{name} has {a} {things}.", "In {name}'s box there are {a} {things}."),
        (
            "{other} has {b} more than {name}. {third} has {c} fewer than {other}.",
            "{other} owns {b} more {things} than {name}, and {third} owns {c} fewer than {other}.",
        ),
        ("How many {things} does {third} have?", "How many {things} has {third} got?"),
        ("{things} of {other}", "{things} of {third}"),
    ),
    "water": Story(
        ("liter", "liters", "l", "litre", "litres"),
        ("A tank holds {a} liters of water.", "There are {a} liters of water in a tank."),
        ("{b} buckets of {c} liters are taken out.", "{name} takes out {b} buckets with {c} liters each."),
        ("How many liters are left?", "How much water is left in liters?"),
        ("water taken", "water left", "water in the end"),
        ("Then rain adds {d} liters.", "At night {d} liters of rain run in."),
        ("How many liters are in the tank now?", "How many liters of water are there in the end?"),
    ),
    "team_points": Story(
        ("point", "points"),
        ("{name} wins {a} games worth {b} points each.", "In {a} games {name} gets {b} points every time."),
        ("Then {name} loses {c} points.", "A mistake costs {c} points."),
        ("How many points does {name} have?", "How many points are left?"),
        ("points won", "points left", "points in the end"),
        ("A bonus gives {d} points.", "In the last round {name} gets {d} more points."),
        ("How many points does {name} have in the end?", "What is the final number of points?"),
    ),
    "rope": Story(
        ("meter", "meters", "m", "metre", "metres"),
        ("A rope is {a} meters long.", "{name} has a rope of {a} meters."),
        ("{name} cuts off {b} pieces of {c} meters each.", "{b} pieces are cut off, each {c} meters long."),
        ("How many meters of rope are left?", "How long is the rest in meters?"),
        ("meters cut off", "meters left"),
    ),
    "fence": Story(
        ("meter", "meters", "m", "metre", "metres"),
        (
            "A field is {a} meters long and {b} meters wide.",
            "{name}'s yard is {a} meters long and {b} meters wide.",
        ),
        (
            "One long side and one short side need a fence, and {c} meters of it are ready.",
            "A fence goes along one long and one short side; {c} meters are built already.",
        ),
        ("How many meters of fence are missing?", "How many meters are still to build?"),
        ("meters of fence", "meters missing"),
    ),
    "weights": Story(
        ("kilogram", "kilograms", "kg"),
        ("{name} carries {a} sacks of {b} kg each.", "There are {a} sacks, and each weighs {b} kg."),
        ("A box weighs another {c} kg.", "There is also a box of {c} kg."),
        ("How many kilograms is that in all?", "What is the whole weight in kilograms?"),
        ("weight of the sacks", "weight in all", "weight left"),
        ("Then {d} kg are taken away.", "{name} takes {d} kg out again."),
        ("How many kilograms are left?", "What weight is left in kilograms?"),
    ),
    "phone": Story(
        ("photo", "photos", "picture", "pictures"),
        (
            "{name} takes {a} photos on Monday and {b} on Tuesday.",
            "On a trip {name} takes {a} photos, and the next day {b}.",
        ),
        ("{name} deletes {c} of them.", "Of these, {c} are deleted."),
        ("How many photos are left?", "How many photos does {name} keep?"),
        ("photos taken", "photos left"),
    ),
    "eggs": Story(
        ("egg", "eggs"),
        ("{a} hens lay {b} eggs each in a week.", "A farmer has {a} hens, and each lays {b} eggs a week."),
        ("The family eats {c} eggs.", "{c} of the eggs are used for cakes."),
        ("How many eggs are left?", "How many eggs can still be sold?"),
        ("eggs laid", "eggs left"),
    ),
    "running": Story(
        ("meter", "meters", "m", "metre", "metres"),
        ("{name} runs {a} laps of {b} meters.", "One lap is {b} meters and {name} runs {a} laps."),
        ("Then {name} walks {c} meters.", "After that comes a walk of {c} meters."),
        ("How many meters is that in all?", "How many meters does {name} cover?"),
        ("meters run", "meters in all"),
    ),
    "parking": Story(
        ("car", "cars"),
        (
            "A car park has {a} levels with {b} places each.",
            "There are {a} levels with {b} places in a car park.",
        ),
        ("{c} cars are parked there.", "Now {c} of the places are taken."),
        ("How many more cars can park?", "For how many more cars is there room?"),
        ("places", "free places"),
    ),
    "cinema": Story(
        ("seat", "seats"),
        ("A hall has {a} rows of {b} seats.", "In a cinema there are {a} rows with {b} seats each."),
        ("{c} seats are taken.", "People sit on {c} of the seats."),
        ("How many seats are free?", "How many seats are empty?"),
        ("seats in the hall", "free seats", "free seats later"),
        ("Then {d} people leave.", "After a while {d} people go home."),
        ("How many seats are free now?", "How many seats are empty in the end?"),
    ),
    "candles": Story(
        ("candle", "candles"),
        (
            "{name} has {a} candles and buys {b} more.",
            "There are {a} candles in a drawer, and {name} adds {b}.",
        ),
        ("For a party {c} candles are used.", "Then {c} of them burn down."),
        ("How many candles are left?", "How many candles does {name} still have?"),
        ("candles in all", "candles left"),
    ),
    "price_gap": Story(
        DOLLARS,
        (
            "A coat costs {a} dollars and a bag costs {b} dollars less.",
            "A coat is {a} dollars. A bag is {b} dollars cheaper.",
        ),
        ("A hat costs {c} dollars more than the bag.", "The hat is {c} dollars more than the bag."),
        ("How much is the hat?", "How many dollars does the hat cost?"),
        ("price of the bag", "price of the hat"),
    ),
}
