//! The words that the demo's records are made of. Accents, quotes, emoji, a backslash and separators of CSV are there
//! on purpose: what an extractor gets wrong shows here first.

/// A country with what depends on it.
pub(super) struct Country {
    pub(super) code: &'static str,
    pub(super) currency: &'static str,
    pub(super) cities: [&'static str; 4],
    /// `#` becomes a digit, `@` a letter.
    pub(super) postal_mask: &'static str,
}

pub(super) const COUNTRIES: [Country; 8] = [
    Country { code: "DE", currency: "EUR", cities: ["Köln", "Dresden", "München", "Lübeck"], postal_mask: "0####" },
    Country {
        code: "NL",
        currency: "EUR",
        cities: ["Utrecht", "'s-Hertogenbosch", "Groningen", "Den Haag"],
        postal_mask: "#### @@",
    },
    Country {
        code: "FR",
        currency: "EUR",
        cities: ["Besançon", "Lyon", "Saint-Étienne", "Nîmes"],
        postal_mask: "#####",
    },
    Country { code: "CH", currency: "CHF", cities: ["Zürich", "Genève", "Chur", "Biel/Bienne"], postal_mask: "####" },
    Country {
        code: "GB",
        currency: "GBP",
        cities: ["Leeds", "Stoke-on-Trent", "Cardiff", "Perth"],
        postal_mask: "@@# #@@",
    },
    Country { code: "SE", currency: "SEK", cities: ["Göteborg", "Malmö", "Umeå", "Örebro"], postal_mask: "### ##" },
    Country {
        code: "PL", currency: "PLN", cities: ["Łódź", "Gdańsk", "Kraków", "Poznań"], postal_mask: "##-###"
    },
    Country { code: "US", currency: "USD", cities: ["Boston", "Reno", "Tulsa", "Portland"], postal_mask: "0####" },
];

pub(super) const FIRST_NAMES: [&str; 16] = [
    "Anna", "Jürgen", "Zoë", "Łukasz", "Marie", "Søren", "Inès", "Tom", "Øyvind", "Ayşe", "Noah", "Björn", "Chloé",
    "Eva", "José", "Mia",
];

pub(super) const LAST_NAMES: [&str; 16] = [
    "Müller",
    "de Vries",
    "O'Brien",
    "Åkesson",
    "Núñez",
    "Smith",
    "Großmann",
    "van 't Hof",
    "Dąbrowski",
    "Lefèvre",
    "Yılmaz",
    "Jones-Łoś",
    "Weiß",
    "Garcia",
    "Öztürk",
    "Brown",
];

pub(super) const COMPANIES: [&str; 12] = [
    "Bäckerei \"Zum Löwen\"",
    "Café Soleil ☕",
    "Müller & Söhne GmbH",
    "O'Leary's Books",
    "Tulpen 🌷 van Dijk",
    "Smith, Jones; Partners",
    "Fish \\ Chips Ltd",
    "日本橋 Trading",
    "Åkesson Möbler AB",
    "=Gleich= Design",
    "Zażółć Sp. z o.o.",
    "Rød & Grøn A/S",
];

pub(super) const STREETS: [&str; 10] = [
    "Hauptstraße",
    "Rue de l'Église",
    "Kerkstraat",
    "High Street",
    "Storgatan",
    "ul. Świętojańska",
    "Bahnhofstrasse",
    "Elm Avenue",
    "Am Brünnchen",
    "Quai N° 5, Bât.",
];

pub(super) const STATUSES: [&str; 5] = ["open", "paid", "shipped", "delivered", "cancelled"];

/// Seven, so that every second one from any start gives different tags.
pub(super) const TAGS: [&str; 7] = ["gift", "express", "B2B", "repeat", "fragile 🍷", "“promo”", "web"];

pub(super) const PRODUCTS: [&str; 20] = [
    "Notebook A5",
    "Monitor 27\"",
    "Kabel 1,5 m",
    "Schraube M8 × 40",
    "Desk lamp",
    "Crème brûlée set",
    "Office chair",
    "Ordner \"Leitz\" 80 mm",
    "Tea, green",
    "Coffee ☕ 1 kg",
    "USB-C hub",
    "Whiteboard",
    "Łyżka",
    "Mug “Moin”",
    "Paper A4; 500 sheets",
    "Pencil 2B",
    "Keyboard (ÄÖÜ)",
    "Webcam",
    "Stapler",
    "Backpack 25 l",
];

/// Discounts in thousandths.
pub(super) const DISCOUNTS: [u64; 8] = [0, 0, 0, 50, 75, 100, 125, 250];
