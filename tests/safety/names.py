"""Names of people, with how often they are met: of a thousand, as censuses count them.

Heads of the lists are written out with their frequencies. What the heads leave is the
tail: names that are put together from the parts that such names are made of, so that
there are near ones among them (ASHFORD, ASHWORTH). There are fewer of them than in life;
strangers are more often alike here than there, never less.
"""

# ruff: noqa: E501  wide letters

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from random import Random


@dataclass(frozen=True, slots=True)
class Written:
    """One name, or a part of one: in Latin letters, in ideographs, as it sounds."""

    latin: str
    ideographs: str = ""
    sound: str = ""

    def __add__(self, other: Written) -> Written:
        return Written(
            (self.latin + other.latin.lower()),
            self.ideographs + other.ideographs,
            self.sound + other.sound,
        )


class Bag:
    """Names to draw from; what heads leave of a thousand is shared by the tail."""

    names: list[Written]
    weights: list[float]

    def __init__(self, head: str, tail: list[Written] | None = None) -> None:
        names: list[Written] = []
        weights: list[float] = []
        for entry in head.split():
            name, _, often = entry.rpartition(":")
            latin, ideographs, sound = (*name.replace("_", " ").split("/"), "", "")[:3]
            names.append(Written(latin, ideographs, sound))
            weights.append(float(often))
        rest = max(1000 - sum(weights), 0) if tail else 0
        slope = [1 / (place + 30) for place in range(len(tail or ()))]
        weights += [rest * each / sum(slope) for each in slope]
        self.names = [*names, *(tail or ())]
        self.weights = list(accumulate(weights))

    def draw(self, random: Random) -> Written:
        return self.names[bisect(self.weights, random.random() * self.weights[-1])]


def made_of(first: str, second: str) -> list[Written]:
    """Every first part before every second one, in an order that mixes them."""
    ends = [_part(text) for text in second.split()]
    made = [
        _part(text) + ends[(place + shift) % len(ends)]
        for shift in range(len(ends))
        for place, text in enumerate(first.split())
    ]
    return list({each.latin: each for each in made}.values())


def _part(text: str) -> Written:
    latin, ideographs, sound = (*text.split("/"), "", "")[:3]
    return Written(latin, ideographs, sound)


@dataclass(frozen=True, slots=True)
class People:
    """How a people names its own.

    Attributes:
        share: of a thousand patients.
        second_family: how many of a hundred bear two family names.
        middle: how many of a hundred have a middle name on record.
        no_date: of a thousand, those whose day of birth nobody knows (1 January).
    """

    name: str
    share: int
    family: Bag
    women: Bag
    men: Bag
    second_family: int = 0
    middle: int = 0
    no_date: int = 3


_ENGLISH = Bag(
    """
    Smith:8.3 Johnson:6.6 Williams:5.5 Brown:4.9 Jones:4.8 Miller:3.9 Davis:3.8
    Wilson:2.7 Anderson:2.7 Thomas:2.6 Taylor:2.6 Moore:2.5 Jackson:2.4 Martin:2.4
    Lee:2.4 Thompson:2.3 White:2.2 Harris:2.1 Clark:1.9 Lewis:1.8 Robinson:1.8 Walker:1.8
    Young:1.6 Allen:1.6 King:1.6 Wright:1.6 Scott:1.5 Hill:1.5 Green:1.5 Adams:1.5
    Nelson:1.4 Baker:1.4 Hall:1.4 Campbell:1.3 Mitchell:1.3 Carter:1.3 Roberts:1.3
    Phillips:1.2 Evans:1.2 Turner:1.2 Parker:1.1 Collins:1.1 Edwards:1.1 Stewart:1.1
    Morris:1.1 Murphy:1.1 Cook:1 Rogers:1 Morgan:1 Cooper:1 Peterson:0.9 Reed:0.9
    Bailey:0.9 Bell:0.9 Kelly:0.9 Howard:0.9 Ward:0.9 Cox:0.8 Richardson:0.8 Wood:0.8
    Watson:0.8 Brooks:0.8 Bennett:0.8 Gray:0.8 James:0.8 Hughes:0.8 Price:0.7 Myers:0.7
    Long:0.7 Foster:0.7 Sanders:0.7 Ross:0.7 Powell:0.7 Sullivan:0.7 O'Brien:0.6
    O'Connor:0.5 McDonald:0.5 MacDonald:0.2 McCarthy:0.4 St._John:0.1 Van_Dyke:0.1
    Fisher:0.6 Reynolds:0.6 Jenkins:0.6 Perry:0.6 Russell:0.6 Graham:0.6 Wallace:0.5
    Marshall:0.5 Freeman:0.5 Wells:0.5 Webb:0.5 Simpson:0.5 Stevens:0.5 Tucker:0.5
    Porter:0.5 Hunter:0.5 Hicks:0.5 Crawford:0.5 Henry:0.5 Boyd:0.5 Mason:0.5
    """,
    made_of(
        """
        Ash Black Brad Brook Burn Carl Clay Cran Dun East Fair Glad Hart Hazel Hol Ken
        Lang Light Lin Mar Mid New Nor Oak Pem Rad Red Rock Ros Ruther Sel Shel Stan Strat
        Sut Thorn Wake War West Whit Win Wood Wyn Bar Ches Den Gil Har
        """,
        "ford ley ton wood well worth man field by ham son stone bury wick den more land er",
    ),
)
_ENGLISH_WOMEN = Bag(
    """
    Mary:26 Patricia:11 Jennifer:11 Linda:10 Elizabeth:11 Barbara:9 Susan:8 Jessica:8
    Sarah:8 Karen:7 Lisa:7 Nancy:7 Betty:6 Margaret:7 Sandra:6 Ashley:6 Kimberly:6
    Emily:6 Donna:6 Michelle:6 Carol:6 Amanda:6 Dorothy:5 Melissa:5 Deborah:5 Stephanie:5
    Rebecca:5 Sharon:5 Laura:5 Cynthia:5 Kathleen:4 Amy:5 Angela:5 Shirley:4 Anna:5
    Brenda:4 Pamela:4 Emma:5 Nicole:4 Helen:4 Samantha:4 Katherine:5 Catherine:4
    Christine:4 Debra:4 Rachel:4 Carolyn:3 Janet:3 Catherina:1 Maria:4 Olivia:4 Heather:3
    Virginia:3 Julie:3 Joyce:3 Victoria:3 Kelly:3 Christina:3 Lauren:3 Joan:3 Evelyn:3
    Judith:3 Megan:3 Cheryl:3 Andrea:3 Hannah:3 Martha:3 Jacqueline:3 Frances:3 Gloria:3
    Ann:4 Anne:3 Jean:3 Alice:3 Kathryn:3 Teresa:3 Theresa:2 Sara:3 Janice:2 Doris:2
    Madison:2 Julia:3 Grace:3 Judy:2 Abigail:2 Marie:2 Denise:2 Beverly:2 Amber:2
    Danielle:2 Marilyn:2 Charlotte:2 Natalie:2 Sophia:3 Rose:2 Diana:2 Brittany:2
    Isabella:2 Kayla:2 Alexis:2 Lori:2 Mia:2 Ava:2 Ella:2 Lily:2 Chloe:2 Zoe:2
    """
)
_ENGLISH_MEN = Bag(
    """
    James:33 John:31 Robert:30 Michael:30 William:25 David:24 Richard:17 Joseph:17
    Thomas:15 Charles:15 Christopher:14 Daniel:13 Matthew:12 Anthony:10 Mark:9 Donald:9
    Steven:8 Paul:8 Andrew:8 Joshua:8 Kenneth:8 Kevin:8 Brian:8 George:8 Timothy:7
    Ronald:7 Edward:7 Jason:7 Jeffrey:6 Ryan:6 Jacob:6 Gary:6 Nicholas:6 Eric:6
    Jonathan:6 Stephen:6 Larry:5 Justin:5 Scott:5 Brandon:5 Benjamin:5 Samuel:5
    Gregory:5 Alexander:5 Frank:5 Patrick:5 Raymond:5 Jack:5 Dennis:4 Jerry:4 Tyler:4
    Aaron:4 Jose:4 Adam:4 Nathan:4 Henry:4 Douglas:4 Zachary:4 Peter:4 Kyle:4 Ethan:4
    Walter:4 Noah:4 Jeremy:3 Christian:3 Keith:3 Roger:3 Terry:3 Austin:3 Sean:3
    Gerald:3 Carl:3 Harold:3 Dylan:3 Arthur:3 Lawrence:3 Jordan:3 Jesse:3 Bryan:3
    Billy:2 Bruce:2 Gabriel:3 Joe:3 Logan:3 Alan:2 Juan:2 Albert:2 Willie:2 Elijah:2
    Wayne:2 Randy:2 Vincent:2 Mason:2 Roy:2 Ralph:2 Bobby:2 Russell:2 Bradley:2 Philip:2
    Jon:1 Steve:1 Mike:1 Fred:1 Liam:3 Lucas:2 Oliver:2 Leo:1 Max:1
    """
)
_GERMAN = Bag(
    """
    Müller:9.5 Schmidt:6.9 Schneider:4.1 Fischer:3.5 Weber:3 Meyer:3 Wagner:2.7 Becker:2.6
    Schulz:2.5 Hoffmann:2.5 Schäfer:1.9 Koch:1.8 Bauer:1.8 Richter:1.7 Klein:1.7 Wolf:1.6
    Schröder:1.5 Neumann:1.5 Schwarz:1.4 Zimmermann:1.4 Braun:1.4 Krüger:1.3 Hofmann:1.3
    Hartmann:1.3 Lange:1.2 Schmitt:1.2 Werner:1.2 Schmitz:1.1 Krause:1.1 Meier:1.1
    Lehmann:1 Schmid:1 Schulze:1 Maier:0.9 Köhler:0.9 Herrmann:0.9 König:0.9 Walter:0.9
    Mayer:0.8 Huber:0.8 Kaiser:0.8 Fuchs:0.8 Peters:0.8 Lang:0.8 Scholz:0.8 Möller:0.7
    Weiß:0.7 Jung:0.7 Hahn:0.7 Schubert:0.7 Vogel:0.7 Friedrich:0.7 Keller:0.7 Günther:0.6
    Frank:0.6 Berger:0.6 Winkler:0.6 Roth:0.6 Beck:0.6 Lorenz:0.6 Böhm:0.5 Groß:0.5
    Jäger:0.5 Krämer:0.5 von_Berg:0.1 van_der_Meer:0.1 zu_Hohenfels:0.02 Meyer-Lüdtke:0.02
    Müller-Wagner:0.02 Öztürk:0.4 Yıldız:0.3 Łukaszewicz:0.1
    """,
    made_of(
        """
        Ahr Alt Berg Birk Brink Buch Burg Dahl Diet Eber Eich Fels Fink Frie Gers Gold Grün
        Hage Heid Hell Hinz Holz Kalt Kirch Klin Kram Kreuz Kühn Land Lind Lütt Mar Nord
        Oster Pfeif Rein Rosen Schön Stein Sonn Tann Wald Weg Wies Wint
        """,
        "mann ner haus hoff berg er baum feld dorf bach mayer holz meier ing stedt lein",
    ),
)
_GERMAN_WOMEN = Bag(
    """
    Maria:16 Ursula:13 Monika:13 Petra:13 Elisabeth:10 Sabine:12 Renate:11 Helga:10
    Karin:10 Brigitte:10 Ingrid:9 Erika:8 Andrea:11 Gisela:8 Claudia:10 Susanne:9 Gabriele:8
    Christa:7 Christine:8 Hildegard:6 Anna:10 Birgit:8 Barbara:7 Gerda:5 Heike:8 Marion:6
    Martina:7 Angelika:6 Irmgard:5 Ute:5 Elke:5 Ulrike:5 Silke:4 Anja:5 Nicole:6 Stefanie:5
    Julia:7 Katharina:6 Sandra:5 Melanie:4 Kathrin:4 Katrin:4 Hannah:4 Lena:5 Laura:5 Lea:4
    Sophie:4 Emma:4 Mia:4 Anne:5 Johanna:4 Charlotte:3 Bärbel:3 Käthe:2 Jördis:0.5 Inge:4
    Anneliese:3 Hannelore:4 Rosemarie:3 Edith:3 Jana:3 Nadine:3 Daniela:4 Anke:3 Eva:4
    """
)
_GERMAN_MEN = Bag(
    """
    Peter:17 Michael:17 Thomas:16 Andreas:14 Wolfgang:14 Klaus:13 Jürgen:12 Günter:9
    Stefan:10 Christian:10 Uwe:9 Werner:9 Horst:8 Frank:10 Dieter:9 Manfred:9 Gerhard:8
    Hans:10 Bernd:8 Thorsten:4 Torsten:3 Matthias:6 Helmut:7 Walter:6 Heinz:7 Martin:8
    Jörg:6 Rolf:5 Jens:6 Sven:5 Alexander:7 Jan:6 Rainer:5 Holger:5 Karl:6 Dirk:5
    Joachim:5 Ralf:5 Carsten:3 Karsten:3 Herbert:4 Daniel:6 Sebastian:5 Markus:6 Lukas:4
    Leon:4 Felix:3 Jonas:4 Paul:5 Max:3 Maximilian:3 Tobias:4 Florian:4 Hans-Peter:3
    Karl-Heinz:3 Franz:4 Josef:4 Kurt:3 Robert:4 Björn:2 Günther:3 Götz:0.3 Noah:2 Ben:3
    """
)
_SPANISH = Bag(
    """
    García:31 Rodríguez:19.8 González:19.7 Fernández:19.4 López:18.5 Martínez:17.7
    Sánchez:17.3 Pérez:16.5 Gómez:10.4 Martín:10.3 Jiménez:8.4 Hernández:8.2 Ruiz:7.9
    Díaz:7.2 Moreno:6.7 Muñoz:6.1 Álvarez:6 Romero:4.8 Gutiérrez:4.6 Alonso:4.3 Navarro:4.1
    Torres:4 Domínguez:3.7 Ramos:3.6 Vázquez:3.5 Ramírez:3.4 Gil:3.3 Serrano:3.1 Morales:3
    Molina:2.9 Blanco:2.9 Suárez:2.9 Castro:2.7 Ortega:2.7 Delgado:2.7 Ortiz:2.6 Marín:2.5
    Rubio:2.5 Núñez:2.3 Medina:2.3 Sanz:2.3 Castillo:2.3 Iglesias:2.2 Cortés:2.2 Garrido:2.2
    Santos:2.1 Guerrero:2.1 Lozano:2.1 Cano:2 Cruz:2 Méndez:2 Flores:2 Prieto:1.9
    Herrera:1.9 Peña:1.9 León:1.8 Márquez:1.8 Cabrera:1.8 Gallego:1.8 Calvo:1.8 Vidal:1.8
    Campos:1.7 Reyes:1.7 Vega:1.7 Fuentes:1.7 Carrasco:1.7 Díez:1.6 Aguilar:1.6 Nieto:1.5
    Santana:1.5 Pascual:1.5 Herrero:1.5 Montero:1.5 Hidalgo:1.4 Lorenzo:1.4 Giménez:1.4
    Ibáñez:1.4 Ferrer:1.4 Durán:1.4 Vicente:1.3 Benítez:1.3 Arias:1.3 Mora:1.3 Carmona:1.3
    Vargas:1.3 Crespo:1.3 Román:1.2 Soto:1.2 Pastor:1.2 Velasco:1.2 Sáez:1.2 Moya:1.1
    Soler:1.1 de_la_Cruz:1 de_la_Fuente:0.6 del_Río:0.6 de_León:0.5 de_los_Santos:0.2
    """,
    made_of(
        """
        Al Ar Bar Ben Bol Cal Cam Car Cas Cor Es Fer Gal Gar Her Lar Man Mar Mon Mor Or Pal
        Per Pin Por Que Ri Sal Sego Sor Tor Val Vel Ver Vil Zam Zur
        """,
        "anda ena era illo bera rio tega dez mado zola quez ales eda iz ado ares ona etxea",
    ),
)
_SPANISH_WOMEN = Bag(
    """
    María_Carmen:27 María:25 Carmen:15 Ana_María:11 Josefa:10 Isabel:11 María_Pilar:10
    María_Dolores:10 Laura:10 María_Teresa:10 Ana:11 Cristina:9 Marta:9 María_Ángeles:8
    Francisca:8 Lucía:9 María_Isabel:8 María_José:8 Antonia:7 Dolores:7 Sara:7 Paula:7
    Elena:7 María_Luisa:7 Raquel:5 Rosa_María:6 Pilar:5 Concepción:5 Manuela:5 Mercedes:4
    María_Jesús:5 Julia:5 Beatriz:4 Nuria:4 Silvia:4 Rosario:4 Juana:4 Alba:4 Irene:5
    Teresa:5 Encarnación:3 Patricia:4 Montserrat:4 Andrea:5 Rocío:4 Mónica:4 Rosa:4
    Alicia:4 María_Elena:3 Sonia:3 Sandra:3 Marina:3 Ángela:3 Susana:3 Natalia:3 Yolanda:3
    Margarita:3 Sofía:4 María_Josefa:3 Eva:3 Inmaculada:3 Claudia:3 Ana_Isabel:3 Inés:3
    """
)
_SPANISH_MEN = Bag(
    """
    Antonio:28 Manuel:24 José:24 Francisco:20 David:15 Juan:14 José_Antonio:12 Javier:13
    Daniel:13 José_Luis:11 Francisco_Javier:11 Carlos:11 Jesús:10 Alejandro:12 Miguel:10
    José_Manuel:10 Rafael:9 Miguel_Ángel:9 Pablo:9 Pedro:9 Ángel:8 Sergio:9 José_María:7
    Fernando:7 Jorge:8 Luis:7 Alberto:7 Álvaro:7 Juan_Carlos:6 Adrián:7 Diego:6
    Juan_José:6 Raúl:6 Iván:6 Juan_Antonio:5 Rubén:5 Enrique:5 Óscar:5 Ramón:5 Vicente:5
    Andrés:4 Juan_Manuel:4 Joaquín:4 Santiago:4 Víctor:4 Mario:5 Eduardo:4 Roberto:4
    Jaime:4 Francisco_José:4 Marcos:4 Ignacio:3 Hugo:4 Alfonso:3 Jordi:3 Ricardo:3
    Salvador:3 Guillermo:3 Emilio:3 Gabriel:3 Marc:2 Gonzalo:3 Julio:3 Mohamed:3 Martín:3
    """
)
_SLAVIC = Bag(
    """
    Nowak:5.3 Kowalski:3.6 Kowalska:3.6 Wiśniewski:2.9 Wójcik:2.6 Kowalczyk:2.5 Kamiński:2.5
    Lewandowski:2.4 Zieliński:2.4 Szymański:2.3 Woźniak:2.3 Dąbrowski:2.2 Kozłowski:1.9
    Jankowski:1.8 Mazur:1.7 Kwiatkowski:1.7 Krawczyk:1.6 Novák:3 Novákova:3 Svoboda:2
    Dvořák:2 Černý:1.6 Procházka:1.4 Kučera:1.4 Horvat:2 Kovačević:1.6 Babić:1.4
    Ivanov:4 Ivanova:4 Smirnov:2.4 Kuznetsov:2.2 Popov:2 Sokolov:1.6 Petrov:1.6 Petrova:1.6
    Shevchenko:2.3 Kovalenko:2 Bondarenko:1.8 Tkachenko:1.6 Melnyk:1.7
    """,
    made_of(
        """
        Adam Bog Bor Bud Cher Dan Dob Gor Grab Hor Jan Kal Kar Kras Kul Lis Luk Mak Mal Mat
        Mich Mor Naz Os Pav Pil Rad Rom Rud Sad Sam Sav Sem Sol Stan Step Sych Tar Tom Vas
        Vlad Vor Zab Zal Zim
        """,
        "owski enko ov ova ski ska czyk ić in ina uk iak ek al ewicz",
    ),
)
_SLAVIC_WOMEN = Bag(
    """
    Anna:30 Maria:20 Katarzyna:16 Małgorzata:15 Agnieszka:15 Barbara:12 Ewa:12 Krystyna:12
    Elżbieta:12 Magdalena:11 Joanna:11 Zofia:10 Monika:9 Teresa:9 Jana:8 Olga:10 Elena:12
    Tatiana:10 Natalia:12 Irina:11 Svetlana:10 Ludmila:7 Galina:8 Nina:6 Oksana:8 Iryna:6
    Hana:6 Eva:8 Lenka:5 Lucie:5 Jitka:4 Ivana:6 Marija:7 Ana:6 Vesna:4 Mirjana:4 Dorota:7
    Danuta:7 Halina:6 Jadwiga:6 Irena:6 Beata:6 Marta:6 Aleksandra:8 Julia:7 Zuzanna:5
    """
)
_SLAVIC_MEN = Bag(
    """
    Jan:20 Andrzej:14 Piotr:16 Krzysztof:15 Stanisław:11 Tomasz:13 Paweł:12 Józef:8
    Marcin:10 Marek:11 Michał:11 Grzegorz:9 Jerzy:9 Tadeusz:8 Adam:9 Łukasz:8 Zbigniew:7
    Jiří:9 Josef:7 Pavel:8 Martin:8 Tomáš:7 Jaroslav:6 Petr:8 Ivan:14 Aleksandr:16 Sergei:14
    Dmitri:11 Vladimir:13 Andrei:11 Alexei:10 Nikolai:9 Mikhail:9 Yuri:7 Viktor:7 Oleksandr:9
    Mykola:6 Volodymyr:7 Marko:5 Luka:5 Josip:4 Željko:3 Dragan:4 Igor:6 Oleg:6 Pawel:1
    """
)
_ARABIC = Bag(
    """
    Mohamed:14 Ahmed:12 Ali:12 Hassan:9 Ibrahim:8 Hussein:8 Khan:10 Hussain:7 Mahmoud:5
    Abdullah:6 Abdallah:3 Osman:4 Salem:4 Mustafa:4 Saleh:4 Omar:4 Yusuf:3 Youssef:3
    Al-Sayed:2 El_Sayed:2 Al_Masri:2 Haddad:2 Khalil:3 Nasser:2 Mansour:2 Rahman:4 Iqbal:3
    Malik:3 Begum:4 Yılmaz:6 Kaya:4 Demir:4 Çelik:3 Şahin:3 Yıldırım:2 Özdemir:2 Arslan:2
    Doğan:2 Kılıç:1.5 Aydın:1.6 Singh:14 Patel:12 Sharma:6 Kumar:9 Kaur:8 Gupta:4
    """,
    made_of(
        """
        Abu Al Bakr Bin Dar Far Ghaz Hak Ham Has Jam Kar Kash Mas Naj Qur Raf Rash Saf Sal Sham
        Tah Ul War Yas Zah Chaud Mukh Ban Bhat Desh Josh
        """,
        "ani awi eed har har iq oud rani rad shi uddin wal war zai ul oglu kar pande",
    ),
)
_ARABIC_WOMEN = Bag(
    """
    Fatima:26 Fatma:14 Aisha:18 Ayşe:12 Maryam:14 Mariam:8 Zainab:12 Khadija:10 Amina:11
    Sara:10 Nour:8 Noor:6 Layla:6 Leila:6 Hana:5 Yasmin:7 Salma:7 Huda:5 Samira:6 Nadia:7
    Rania:4 Zeynep:8 Elif:8 Emine:7 Hatice:7 Meryem:6 Özlem:4 Priya:8 Anjali:6 Sunita:6
    Pooja:5 Lakshmi:5 Neha:5 Deepa:4 Kavita:4 Asha:4 Simran:4 Jaspreet:4 Farah:4 Hafsa:3
    """
)
_ARABIC_MEN = Bag(
    """
    Mohammed:46 Mohamed:24 Muhammad:26 Ahmed:26 Ahmad:9 Ali:20 Omar:14 Hassan:11 Hussein:8
    Ibrahim:11 Yusuf:10 Youssef:8 Khaled:8 Khalid:7 Mahmoud:8 Mustafa:12 Mehmet:14 Abdul:9
    Abdullah:9 Hamza:7 Bilal:6 Karim:6 Tariq:6 Imran:6 Amir:6 Osman:6 Murat:6 Emre:5
    Hüseyin:7 İbrahim:4 Raj:6 Rahul:7 Amit:7 Sanjay:6 Rajesh:6 Vijay:5 Arjun:5 Suresh:5
    Gurpreet:4 Harpreet:4 Manpreet:4 Sandeep:4 Anil:4 Deepak:4 Ravi:5
    """
)
_VIETNAMESE = Bag(
    """
    Nguyễn:384 Trần:110 Lê:95 Phạm:71 Huỳnh:51 Phan:45 Vũ:39 Đặng:21 Bùi:20 Đỗ:14 Hồ:13
    Ngô:13 Dương:10 Lý:5 Hoàng:40 Võ:30 Đinh:10 Trịnh:7 Mai:6 Lâm:6 Cao:4 Tạ:3 Châu:3
    """
)
_VIETNAMESE_WOMEN = Bag(
    """
    Anh:40 Linh:40 Hương:40 Lan:36 Mai:30 Hoa:30 Hà:30 Ngọc:34 Phương:34 Thảo:30 Trang:32
    Thủy:28 Hằng:28 Nga:24 Hiền:24 Hồng:28 Nhung:20 Yến:20 Tuyết:18 Dung:20 Vân:20 Loan:16
    Oanh:14 Quỳnh:18 Nhi:18 My:16 Vy:16 Trâm:16 Thu:24 Xuân:16 Bích:10 Kim:12
    """
)
_VIETNAMESE_MEN = Bag(
    """
    Anh:34 Hùng:40 Dũng:38 Minh:44 Tuấn:44 Nam:32 Long:30 Hải:30 Sơn:28 Thành:30 Quang:28
    Đức:26 Trung:24 Cường:24 Hiếu:22 Phong:20 Bình:22 Tâm:20 Khoa:16 Khánh:18 Việt:18 Huy:28
    Tùng:18 Thắng:20 Toàn:16 Phúc:20 Lâm:14 Đạt:20 Vinh:16 Hòa:18 Tiến:18 Duy:16
    """
)
_CHINESE = Bag(
    """
    Wang/王:72 Li/李:71 Zhang/张:68 Liu/刘:54 Chen/陈:45 Yang/杨:31 Huang/黄:22 Zhao/赵:21
    Wu/吴:20 Zhou/周:19 Xu/徐:15 Sun/孙:14 Ma/马:13 Zhu/朱:13 Hu/胡:12 Guo/郭:12 He/何:12
    Lin/林:11 Gao/高:11 Luo/罗:10 Zheng/郑:9 Liang/梁:9 Xie/谢:8 Song/宋:8 Tang/唐:7 Xu/许:7
    Deng/邓:6 Feng/冯:6 Han/韩:6 Cao/曹:6 Zeng/曾:6 Peng/彭:5 Xiao/萧:5 Cai/蔡:5 Pan/潘:5
    Tian/田:4 Dong/董:4 Yuan/袁:4 Yu/于:6 Yu/余:4 Ye/叶:4 Jiang/蒋:4 Du/杜:4 Su/苏:4
    Wei/魏:4 Cheng/程:4 Lü/吕:4 Ding/丁:4 Shen/沈:3 Ren/任:3 Yao/姚:3 Lu/卢:3 Fu/傅:3
    Zhong/钟:3 Jiang/姜:3 Cui/崔:3 Tan/谭:3 Liao/廖:3 Fan/范:3 Ouyang/欧阳:1 Shi/石:3
    """
)
_CHINESE_FIRST = (
    "Wei/伟 Jing/静 Li/丽 Min/敏 Lei/磊 Yang/洋 Yan/艳 Jie/杰 Juan/娟 Tao/涛 Ming/明 Xiu/秀 "
    "Gui/桂 Ying/英 Hua/华 Yu/玉 Hong/红 Jian/建 Guo/国 Wen/文 Zhi/志 Chun/春 Hai/海 Jun/军 "
    "Xiao/晓 Yun/云 Xue/雪 Zi/子 Jia/嘉 Si/思 Xin/欣 Yi/怡 Shu/淑 De/德 Shao/少 Yong/永"
)
_CHINESE_SECOND = (
    "fang/芳 na/娜 qiang/强 yong/勇 xia/霞 ping/平 gang/刚 lan/兰 mei/梅 lin/琳 feng/峰 peng/鹏 "
    "fei/飞 yu/宇 hao/浩 han/涵 ling/玲 zhen/珍 qing/青 bin/斌 hui/慧 long/龙 xuan/轩 ting/婷 "
    "chen/晨 rui/瑞 kai/凯 ning/宁 bo/波 dong/东"
)
_CHINESE_GIVEN = Bag(
    "Wei/伟:6 Fang/芳:5 Na/娜:5 Min/敏:5 Jing/静:5 Li/丽:4 Qiang/强:4 Lei/磊:4 Yang/洋:3 "
    "Yong/勇:3 Jie/杰:3 Tao/涛:3 Chao/超:3 Ping/平:2 Gang/刚:2 Jun/军:3 Yan/艳:3 Hui/慧:3",
    made_of(_CHINESE_FIRST, _CHINESE_SECOND),
)
_JAPANESE = Bag(
    """
    Sato/佐藤/さとう:15 Suzuki/鈴木/すずき:14 Takahashi/高橋/たかはし:11 Tanaka/田中/たなか:10.6
    Watanabe/渡辺/わたなべ:8.5 Ito/伊藤/いとう:8.6 Yamamoto/山本/やまもと:8.4
    Nakamura/中村/なかむら:8.3 Kobayashi/小林/こばやし:8.2 Kato/加藤/かとう:7
    Yoshida/吉田/よしだ:6.6 Yamada/山田/やまだ:6.5 Sasaki/佐々木/ささき:5.3
    Yamaguchi/山口/やまぐち:5.1 Matsumoto/松本/まつもと:5 Inoue/井上/いのうえ:4.9
    Kimura/木村/きむら:4.6 Hayashi/林/はやし:4.3 Saito/斎藤/さいとう:4.3 Saito/斉藤/さいとう:2
    Shimizu/清水/しみず:4.2 Abe/阿部/あべ:4 Mori/森/もり:3.7 Ikeda/池田/いけだ:3.6
    """,
    made_of(
        "Yama/山/やま Naka/中/なか Taka/高/たか Matsu/松/まつ Take/竹/たけ Nishi/西/にし "
        "Kita/北/きた Ishi/石/いし Oka/岡/おか Fuji/藤/ふじ Miya/宮/みや Ue/上/うえ Mizu/水/みず "
        "Hara/原/はら Naga/長/なが Kawa/川/かわ Sugi/杉/すぎ Ima/今/いま Aka/赤/あか Shira/白/しら",
        "da/田/だ moto/本/もと mura/村/むら no/野/の hara/原/はら shima/島/しま i/井/い ki/木/き "
        "saki/崎/さき sawa/沢/さわ kawa/川/かわ be/部/べ zuka/塚/づか o/尾/お",
    ),
)
_JAPANESE_WOMEN = Bag(
    """
    Yoko/陽子/ようこ:20 Yoko/洋子/ようこ:14 Keiko/恵子/けいこ:20 Keiko/敬子/けいこ:9
    Sachiko/幸子/さちこ:16 Kazuko/和子/かずこ:18 Hiroko/裕子/ひろこ:14 Yumi/由美/ゆみ:12
    Akiko/明子/あきこ:12 Naomi/直美/なおみ:12 Tomoko/智子/ともこ:13 Yuko/優子/ゆうこ:12
    Kumiko/久美子/くみこ:12 Emi/恵美/えみ:9 Mari/真理/まり:8 Ai/愛/あい:10 Misaki/美咲/みさき:10
    Sakura/さくら/さくら:8 Yui/結衣/ゆい:8 Hina/陽菜/ひな:7 Rin/凛/りん:6 Aoi/葵/あおい:7
    """
)
_JAPANESE_MEN = Bag(
    """
    Hiroshi/博/ひろし:18 Hiroshi/浩/ひろし:14 Takashi/隆/たかし:14 Takashi/孝/たかし:8
    Kenji/健二/けんじ:12 Makoto/誠/まこと:14 Akira/明/あきら:12 Minoru/実/みのる:9
    Kazuo/和夫/かずお:12 Shigeru/茂/しげる:10 Kiyoshi/清/きよし:10 Tetsuya/哲也/てつや:10
    Daisuke/大輔/だいすけ:13 Naoki/直樹/なおき:11 Manabu/学/まなぶ:8 Tsubasa/翼/つばさ:6
    Sho/翔/しょう:9 Ren/蓮/れん:8 Haruto/陽翔/はると:8 Yuto/悠斗/ゆうと:7 Sota/颯太/そうた:7
    """
)
_KOREAN = Bag(
    """
    Kim/金/김:215 Lee/李/이:147 Park/朴/박:84 Choi/崔/최:47 Jung/鄭/정:43 Kang/姜/강:24
    Cho/趙/조:21 Yoon/尹/윤:21 Jang/張/장:20 Lim/林/임:17 Han/韓/한:16 Oh/吳/오:15 Seo/徐/서:15
    Shin/申/신:15 Kwon/權/권:14 Hwang/黃/황:14 Ahn/安/안:14 Song/宋/송:14 Ryu/柳/류:13
    Hong/洪/홍:11 Jeon/全/전:11 Ko/高/고:9 Moon/文/문:9 Yang/梁/양:9 Son/孫/손:9 Bae/裵/배:8
    Baek/白/백:8 Heo/許/허:7 Yoo/劉/유:6 Nam/南/남:6 Sim/沈/심:5 Noh/盧/노:5 Ha/河/하:5
    """
)
_KOREAN_FIRST = (
    "Min/敏/민 Ji/智/지 Seo/瑞/서 Hyun/賢/현 Young/英/영 Su/秀/수 Jin/珍/진 Eun/恩/은 Hye/惠/혜 "
    "Kyung/京/경 Sung/成/성 Sang/相/상 Jae/在/재 Mi/美/미 Yeon/蓮/연 Tae/泰/태 Dong/東/동 Jung/正/정"
)
_KOREAN_WOMEN = Bag(
    "",
    made_of(
        _KOREAN_FIRST,
        "ah/娥/아 hee/姬/희 kyung/景/경 mi/美/미 ji/智/지 jung/貞/정 sook/淑/숙 ja/子/자 yeon/延/연 "
        "eun/恩/은 won/媛/원 young/英/영 seo/序/서 rin/璘/린",
    ),
)
_KOREAN_MEN = Bag(
    "",
    made_of(
        _KOREAN_FIRST,
        "ho/浩/호 woo/宇/우 jun/俊/준 soo/洙/수 ki/基/기 hwan/煥/환 chul/哲/철 seok/錫/석 min/珉/민 "
        "hyuk/赫/혁 il/一/일 hoon/勳/훈 won/元/원 bin/彬/빈",
    ),
)

ENGLISH = People(
    "English", 430, _ENGLISH, _ENGLISH_WOMEN, _ENGLISH_MEN, second_family=2, middle=60
)
GERMAN = People(
    "German", 140, _GERMAN, _GERMAN_WOMEN, _GERMAN_MEN, second_family=5, middle=12
)
SPANISH = People(
    "Spanish", 160, _SPANISH, _SPANISH_WOMEN, _SPANISH_MEN, second_family=85, middle=3
)
SLAVIC = People("Slavic", 80, _SLAVIC, _SLAVIC_WOMEN, _SLAVIC_MEN, middle=5)
ARABIC = People("Arabic", 70, _ARABIC, _ARABIC_WOMEN, _ARABIC_MEN, middle=15, no_date=80)
VIETNAMESE = People(
    *("Vietnamese", 40, _VIETNAMESE, _VIETNAMESE_WOMEN, _VIETNAMESE_MEN),
    middle=80,
    no_date=30,
)
CHINESE = People("Chinese", 40, _CHINESE, _CHINESE_GIVEN, _CHINESE_GIVEN)
JAPANESE = People("Japanese", 20, _JAPANESE, _JAPANESE_WOMEN, _JAPANESE_MEN)
KOREAN = People("Korean", 20, _KOREAN, _KOREAN_WOMEN, _KOREAN_MEN)

ALL = (*(ENGLISH, GERMAN, SPANISH, SLAVIC, ARABIC, VIETNAMESE, CHINESE, JAPANESE, KOREAN),)
EAST_ASIAN = (CHINESE, JAPANESE, KOREAN)

#: Names that parents give to twins, and that scanners' operators take for one another.
TWINS = tuple(
    (one.replace("_", " "), other.replace("_", " "))
    for one, _, other in (
        pair.partition("/")
        for pair in [
            "Anna/Hanna",
            "Maria/Marie",
            "Ella/Bella",
            "Mia/Lia",
            "Emma/Emilia",
            "Julia/Juliana",
            "Lena/Lenja",
            "Sara/Lara",
            "Lea/Lena",
            "Jana/Hanna",
            "Christina/Christine",
            "Marta/Martha",
            "Elena/Helena",
            "Sofia/Sophie",
            "Carla/Clara",
            "Nora/Norah",
            "Amelie/Emilie",
            "Jasmin/Jasmina",
            "Ana/Ana_Maria",
            "Jaden/Jayden",
            "Taylor/Tyler",
            "Kayla/Kaylee",
            "Ashley/Ashlyn",
            "Madison/Maddison",
            "Ella/Ellen",
            "Aisha/Aysha",
            "Fatima/Fatma",
            "Olivia/Oliver",
            "Alexander/Alexandra",
            "Daniel/Daniela",
            "Gabriel/Gabriela",
            "Jan/Jana",
            "Paul/Paula",
            "Nicholas/Nicole",
            "Julian/Julius",
            "Jon/John",
            "Eric/Erik",
            "Mark/Marcus",
            "Marc/Marco",
            "Leon/Leo",
            "Luca/Lukas",
            "Jonas/Jonathan",
            "Timo/Tim",
            "Mohamed/Mahmoud",
            "Hassan/Hussein",
            "Ahmed/Ahmad",
            "Ali/Alif",
            "Jose/Josue",
            "Luis/Luisa",
            "Manuel/Manuela",
            "Francisco/Francisca",
            "Antonio/Antonia",
            "Mario/Maria",
            "Minjun/Minju",
            "Yui/Yuri",
        ]
    )
)
