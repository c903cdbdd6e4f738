"""Synthetic people, and pairs of records that are, or are not, of one person.

The generator shares no table and no function with the code it is used to test. Names
are common ones of several countries; they are drawn with the frequencies of Zipf's law,
since that is what makes strangers alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import accumulate
from random import Random

FAMILY = """
Smith Garcia Müller Johnson Nguyen Silva Rossi Martin Kowalski Andersson Kim Schmidt
Williams Rodriguez Lee Santos Brown Jones Martinez Wang Schneider Ivanov Oliveira Dubois
Hansen Fischer Lopez Miller Davis Novak Yilmaz Papadopoulos Weber Li Gonzalez Wilson
Bernard Jansen Russo Tran Meyer Hernandez Taylor Ferrari Nowak Singh Thomas Anderson
Perez Wagner Kaya O'Brien Moreau Nielsen Becker Moore Sanchez Zhang Pereira Schulz Chen
Esposito Jackson Wisniewski Horvat Hoffmann White Ramirez Demir Petit DeVries Larsen
Koch Harris Torres Khan Bauer Clark Popescu Costa Richter Lewis Flores Durand Wójcik
Klein Robinson Rivera Park Wolf Walker Gomez Celik Bianchi Schröder Young Diaz Leroy
Neumann Allen Cruz Eriksson Schwarz King Morales Ali Zimmermann Wright Reyes Braun Scott
Romano Krüger Hill Ortiz Kaminski Hofmann Green Gutierrez Hartmann Adams Choi Lange
Baker Ramos Schmitt Nelson Colombo Werner Mitchell Moreno Krause Campbell Mendes Meier
Roberts Jimenez Lehmann Carter Ruiz Vandenberg Schmid Phillips Alvarez Schulze Evans
Mendoza Maier Turner Castillo Köhler Parker Vargas Herrmann Collins Romero König Edwards
Alves Walter Stewart Medina Mayer Morris Aguilar Huber Murphy Castro Kaiser Cook Vega
Fuchs Rogers Guzman Peters Morgan Salazar Lang Cooper Soto Scholz Peterson Delgado Möller
Reed Fernandez Weiss Bailey Herrera Jung Bell Gallo Hahn Kelly Fontaine Schubert Howard
Conti Vogel Ward Greco Friedrich Cox Lombardi Keller Richardson Mancini Günther Watson
Rizzo Frank Brooks Barbieri Berger Bennett Moretti Winkler Gray Marino Roth James Giordano
Beck Hughes Lorenz Price Baumann Myers Franke Long Albrecht Foster Schuster Sanders Simon
Ross Böhm Winter Kraus Martens Schumacher Kramer Vogt Stein Jäger Otto Sommer Groß Seidel
Heinrich Brandt Haas Schreiber Graf Dietrich Ziegler Kuhn Kühn Pohl Engel Horn Busch
Bergmann Thomsen Voigt Sauer Arnold Wolff Pfeiffer Lindqvist Bergström Øster Ağaoğlu
""".split()  # noqa: SIM905  a wall of quotes

WOMEN = """
Maria Anna Emma Sophia Olivia Mia Elena Laura Julia Sarah Hannah Lena Ana Katarzyna Marie
Isabella Emily Charlotte Amelia Ayşe Fatma Chiara Giulia Camille Chloé Inés Carmen Lucia
Martina Alice Ella Grace Lily Zoe Nora Ingrid Astrid Freya Ida Klara Lea Lina Marta
Agnieszka Małgorzata Zofia Olga Tatiana Irina Natalia Svetlana Yan Mei Linh Thu Jisoo
Minji Priya Anjali Aisha Zahra Noor Leila Rebecca Rachel Ruth Esther Jane Helen Susan
Margaret Patricia Jennifer Linda Elizabeth Barbara Jessica Karen Nancy Lisa Betty Sandra
Ashley Kimberly Donna Carol Michelle Amanda Melissa Deborah Stephanie Monika Petra Sabine
Ursula Renate Gisela Heike Birgit
""".split()  # noqa: SIM905  a wall of quotes

MEN = """
Thomas Jan Luca Noah Liam Peter Michael Alexander David Daniel Paul Leon Felix Max Jonas
Elias Ben Finn Lukas Łukasz Piotr Krzysztof Andrzej Jean Pierre Louis Hugo Jules Antoine
Marco Giuseppe Antonio Francesco Matteo José Juan Carlos Luis Miguel Javier Pedro João
Tiago Mehmet Mustafa Ahmet Ali Ivan Dmitri Sergei Nikolai Wei Jun Minh Tuan Minjun Raj
Arjun Omar Hassan Yusuf James Robert John William Richard Charles Joseph Christopher
Matthew Anthony Mark Donald Steven Andrew Kenneth George Joshua Kevin Brian Edward Ronald
Timothy Jason Jeffrey Ryan Jacob Gary Eric Stephen Jonathan Larry Justin Scott Brandon
Jürgen Uwe Klaus Wolfgang Günter Stefan Andreas
""".split()  # noqa: SIM905  a wall of quotes

FIRST_BIRTH = date(1925, 1, 1)
BIRTH_DAYS = (date(2015, 1, 1) - FIRST_BIRTH).days


@dataclass(frozen=True, slots=True)
class Person:
    """A record of somebody; `birth` may have no day of the calendar behind it."""

    family: str
    given: str
    middle: str
    birth: str
    sex: str

    @property
    def name(self) -> str:
        return f"{self.family}^{self.given}^{self.middle}".rstrip("^")


class People:
    """Draws people; the same seed draws the same ones."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def person(self) -> Person:
        sex = self.random.choice("FM")
        middle = self.given(sex) if self.random.random() < 0.3 else ""
        return Person(self._zipf(FAMILY), self.given(sex), middle, self._birth(), sex)

    def given(self, sex: str) -> str:
        return self._zipf(WOMEN if sex == "F" else MEN)

    def relative(self, person: Person) -> Person:
        """Somebody else with the same family name."""
        return replace(self.person(), family=person.family)

    def twin(self, person: Person) -> Person:
        """Parents give twins two names, and more often than not the same sex."""
        sex = person.sex if self.random.random() < 0.65 else self.random.choice("FM")
        given = person.given
        while given == person.given:
            given = self.given(sex)
        middle = self.given(sex) if person.middle else ""
        return replace(person, given=given, middle=middle, sex=sex)

    def junior(self, person: Person) -> Person:
        """A child who bears the parent's whole name."""
        year = int(person.birth[:4]) + self.random.randint(18, 40)
        return replace(person, birth=str(year) + self._birth()[4:])

    def married(self, person: Person) -> Person:
        family = person.family
        while family == person.family:
            family = self._zipf(FAMILY)
        return replace(person, family=family)

    def mistyped(self, person: Person) -> Person:
        """One slip in one of the three fields."""
        field = self.random.choice(("family", "given", "birth"))
        alphabet = "0123456789" if field == "birth" else "abcdefghijklmnopqrstuvwxyz"
        return replace(person, **{field: self._slip(getattr(person, field), alphabet)})

    def _slip(self, text: str, alphabet: str) -> str:
        at = self.random.randrange(len(text) - 1)
        new = self.random.choice(alphabet)
        swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        replaced = text[:at] + new + text[at + 1 :]
        if alphabet.startswith("0"):
            return self.random.choice((swapped, replaced))
        longer, shorter = text[:at] + new + text[at:], text[:at] + text[at + 1 :]
        return self.random.choice((swapped, replaced, longer, shorter))

    def _birth(self) -> str:
        return f"{FIRST_BIRTH + timedelta(self.random.randrange(BIRTH_DAYS)):%Y%m%d}"

    def _zipf(self, names: list[str]) -> str:
        return self.random.choices(names, cum_weights=_WEIGHTS[len(names)])[0]


# Flatter than Zipf's own 1/rank: the lists hold the head of a distribution only.
_WEIGHTS = {
    len(names): list(accumulate((rank + 20) ** -0.8 for rank in range(len(names))))
    for names in (FAMILY, WOMEN, MEN)
}
