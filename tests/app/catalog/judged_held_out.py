"""Judged queries on which nothing was tuned, and by people."""

# Written after the scorer's constants were chosen, and never used to choose one.
HELD_OUT = """
rings fellowship 2001 = The Lord of the Rings: The Fellowship of the Ring 2001
peter jackson two towers = The Lord of the Rings: The Two Towers 2002
elijah wood return of the king = The Lord of the Rings: The Return of the King 2003
kubrick space odyssey = 2001: A Space Odyssey 1968
forrest gump zemeckis 1994 = Forrest Gump 1994
the terminator movie 1984 = The Terminator 1984
matrix revolutions 2003 = The Matrix Revolutions 2003
empire strikes back = The Empire Strikes Back 1980
seven kurosawa = Seven Samurai 1954
samurai mifune = Seven Samurai 1954
mr & mrs smith brad pitt = Mr. & Mrs. Smith 2005
men in black two 2002 = Men in Black II 2002
rocky the third = Rocky III 1982
rocky 1976 movie = Rocky 1976
harry potter 2 = Harry Potter and the Chamber of Secrets 2002
chamber of secrets = Harry Potter and the Chamber of Secrets 2002
indiana 8 mile eminem = 8 Mile 2002
fifty 1st dates = 50 First Dates 2004
ninteen eighty-four = Nineteen Eighty-Four 1984
fellini 8 1/2 = 8½ 1963
reservoirdogs = Reservoir Dogs 1992
darkknight = The Dark Knight 2008
city of god 2002 meirelles = City of God 2002
americn history x = American History X 1998
vendeta = V for Vendetta 2006
i, robot will smith = I, Robot 2004
oldboi = Oldboy 2003
lenin = Good Bye, Lenin! 2003
live free die hard = Live Free or Die Hard 2007
dr. strangelove 1964 kubrick = Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb 1964
blade runer = Blade Runner 1982
the dark knight rises christian bale = The Dark Knight Rises 2012
extra terrestrial = E.T. the Extra-Terrestrial 1982
phantom menace = Star Wars: Episode I - The Phantom Menace 1999
jedi return = Return of the Jedi 1983
azkaban = Harry Potter and the Prisoner of Azkaban 2004
dalmations = One Hundred and One Dalmatians 1961
leon the professional natalie portman = Léon: The Professional 1994
tibet brad pitt = Seven Years in Tibet 1997
heat of the night = In the Heat of the Night 1967
"""


PEOPLE = """
tom hanks = Forrest Gump, Apollo 13, Toy Story, Toy Story 2, Toy Story 3
movies with tom hanks = Forrest Gump, Apollo 13, Toy Story, Toy Story 2, Toy Story 3
nolan = The Dark Knight, Inception, The Dark Knight Rises
uma thurman = Pulp Fiction, Kill Bill: Vol. 1, Kill Bill: Vol. 2
movies by fincher = Fight Club, Se7en, Alien³
hayao miyazaki = Spirited Away
bogart = Casablanca, The Maltese Falcon
timothee chalamet = Dune
jean-pierre jeunet = Amélie
iñárritu = Birdman
bale = The Dark Knight, The Dark Knight Rises
"""
