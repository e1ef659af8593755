//! Names and made-up words of several languages and scripts.
//!
//! Names are common ones, combined at random. Words are built from syllables, thousands per language, the first of the
//! vocabulary far more often than the last: as in real notes, which a small vocabulary would compress better than.

use super::draw::Draw;

/// Words of one language.
const VOCABULARY: usize = 4_000;

/// A language that people of the samples speak.
#[derive(Debug)]
pub(super) struct Speech {
    pub(super) given: &'static [&'static str],
    pub(super) family: &'static [&'static str],
    words: Vec<String>,
}

impl Speech {
    /// Returns all languages: English with East African names, Spanish, Arabic, Ukrainian, Dari.
    pub(super) fn all() -> Vec<Self> {
        vec![
            Self { given: ENGLISH_GIVEN, family: ENGLISH_FAMILY, words: vocabulary(1, ENGLISH_STARTS, ENGLISH_ENDS) },
            Self { given: SPANISH_GIVEN, family: SPANISH_FAMILY, words: vocabulary(2, SPANISH_STARTS, SPANISH_ENDS) },
            Self { given: ARABIC_GIVEN, family: ARABIC_FAMILY, words: vocabulary(3, ARABIC_STARTS, ARABIC_ENDS) },
            Self {
                given: UKRAINIAN_GIVEN,
                family: UKRAINIAN_FAMILY,
                words: vocabulary(4, UKRAINIAN_STARTS, UKRAINIAN_ENDS),
            },
            Self { given: DARI_GIVEN, family: DARI_FAMILY, words: vocabulary(5, DARI_STARTS, DARI_ENDS) },
        ]
    }

    /// Draws a word; the twentieth part of the vocabulary makes up over a third of a text.
    pub(super) fn word(&self, draw: &mut Draw) -> &str {
        let width = self.words.len();
        let rank = draw.below(width).saturating_mul(draw.below(width)) / width.max(1);
        let rank = rank.saturating_mul(draw.below(width)) / width.max(1);
        self.words.get(rank).map_or("", String::as_str)
    }
}

fn vocabulary(seed: u64, starts: &[&str], ends: &[&str]) -> Vec<String> {
    let mut draw = Draw::new(seed);
    let mut words = Vec::with_capacity(VOCABULARY);
    let mut known = std::collections::BTreeSet::new();
    while words.len() < VOCABULARY {
        // Frequent words are short.
        let syllables = if words.len() < 1_000 { 1 } else { draw.between(1, 2) };
        let mut word = String::new();
        for _ in 0..syllables {
            word.push_str(draw.pick(starts).copied().unwrap_or_default());
        }
        word.push_str(draw.pick(ends).copied().unwrap_or_default());
        if known.insert(word.clone()) {
            words.push(word);
        }
    }
    words
}

const ENGLISH_GIVEN: &[&str] = &[
    "Achol", "Amani", "Baraka", "Deng", "Esther", "Faith", "Grace", "Imani", "Joseph", "Juma", "Kwame", "Lual", "Mary",
    "Nyandeng", "Peter", "Rehema", "Samuel", "Sarah", "Wanjiru", "Zawadi",
];
const ENGLISH_FAMILY: &[&str] = &[
    "Abebe", "Akol", "Bol", "Chol", "Garang", "Juma", "Kamau", "Kariuki", "Lado", "Mabior", "Mutua", "Mwangi",
    "Njoroge", "Ochieng", "Odhiambo", "Okello", "Otieno", "Tesfaye", "Wani", "Were",
];
const ENGLISH_STARTS: &[&str] = &[
    "a", "be", "bra", "ca", "chi", "co", "de", "dri", "e", "fa", "flo", "ga", "gre", "ha", "hi", "i", "ja", "ke", "la",
    "li", "lo", "ma", "me", "mo", "na", "ne", "no", "o", "pa", "pe", "pla", "ra", "re", "ri", "sa", "se", "sha", "so",
    "sta", "ta", "te", "the", "tra", "u", "va", "wa", "we", "wi", "ya",
];
const ENGLISH_ENDS: &[&str] = &[
    "ble", "ck", "d", "ded", "ding", "ful", "ght", "ing", "l", "ld", "le", "ly", "m", "ment", "n", "nd", "ness", "ng",
    "nt", "r", "rd", "re", "rs", "s", "se", "sh", "st", "t", "ted", "ter", "th", "tion", "ve", "y",
];
const SPANISH_GIVEN: &[&str] = &[
    "Alejandra",
    "Andrés",
    "Camila",
    "Carlos",
    "Daniela",
    "Diego",
    "Elena",
    "Jesús",
    "José",
    "Juan",
    "Lucía",
    "Luis",
    "María",
    "Mateo",
    "Nicolás",
    "Paola",
    "Santiago",
    "Sofía",
    "Valentina",
    "Yuleisy",
];
const SPANISH_FAMILY: &[&str] = &[
    "Álvarez Peña",
    "Castillo Mora",
    "Contreras Ruiz",
    "Díaz Núñez",
    "Fernández Gil",
    "García Rojas",
    "Gómez Vera",
    "González Paz",
    "Hernández Soto",
    "Jiménez Lara",
    "López Castro",
    "Martínez Cruz",
    "Moreno Silva",
    "Pérez Luna",
    "Quiñones Vega",
    "Ramírez Ortiz",
    "Rodríguez León",
    "Sánchez Ríos",
    "Torres Niño",
    "Vargas Muñoz",
];
const SPANISH_STARTS: &[&str] = &[
    "a", "ba", "bue", "ca", "ce", "cie", "co", "cre", "da", "de", "di", "e", "en", "es", "fa", "fue", "ga", "go",
    "gra", "ha", "he", "i", "ju", "la", "le", "lla", "lo", "lu", "ma", "me", "mi", "mo", "na", "ne", "ni", "ña", "o",
    "pa", "pe", "pre", "pue", "que", "ra", "re", "ri", "sa", "se", "si", "so", "ta", "te", "ti", "to", "tra", "va",
    "vi",
];
const SPANISH_ENDS: &[&str] = &[
    "ba", "ción", "da", "dad", "do", "dor", "es", "ía", "ida", "ido", "l", "lla", "llo", "mente", "mos", "n", "na",
    "ndo", "no", "ña", "ra", "ras", "ría", "ro", "rse", "s", "sa", "ta", "te", "to", "tos", "va", "z",
];
const ARABIC_GIVEN: &[&str] = &[
    "آمنة",
    "أحمد",
    "أميرة",
    "إبراهيم",
    "بلال",
    "جميلة",
    "حسن",
    "خالد",
    "رانيا",
    "زينب",
    "سارة",
    "سعاد",
    "عائشة",
    "عبد الرحمن",
    "علي",
    "فاطمة",
    "ليلى",
    "محمد",
    "مريم",
    "يوسف",
];
const ARABIC_FAMILY: &[&str] = &[
    "البغدادي",
    "التكريتي",
    "الجبوري",
    "الحسن",
    "الحلبي",
    "الخطيب",
    "الدليمي",
    "الراوي",
    "الزبيدي",
    "السامرائي",
    "الشامي",
    "الصالح",
    "العبيدي",
    "العلي",
    "القاسم",
    "المصري",
    "الموصلي",
    "النجار",
    "الهاشمي",
    "اليوسف",
];
const ARABIC_STARTS: &[&str] = &[
    "أ", "ال", "با", "بي", "تا", "تو", "ثا", "جا", "جي", "حا", "حو", "خا", "دا", "دي", "ذا", "را", "رو", "زا", "سا",
    "سي", "شا", "شو", "صا", "ضا", "طا", "عا", "عو", "غا", "فا", "في", "قا", "قو", "كا", "كي", "لا", "لو", "ما", "مو",
    "نا", "ني", "ها", "وا", "يا", "يو", "مت", "مس", "ست", "تف",
];
const ARABIC_ENDS: &[&str] = &[
    "ب", "ة", "ت", "ات", "د", "ر", "رة", "س", "ع", "ق", "ل", "لة", "م", "مة", "ن", "ين", "ون", "نا", "هم", "ها", "ه",
    "ي", "ية", "ك", "ف", "ح",
];
const UKRAINIAN_GIVEN: &[&str] = &[
    "Андрій",
    "Анна",
    "Богдан",
    "Вікторія",
    "Дарина",
    "Дмитро",
    "Єва",
    "Злата",
    "Іван",
    "Катерина",
    "Максим",
    "Марія",
    "Матвій",
    "Оксана",
    "Олександр",
    "Оленка",
    "Петро",
    "Соломія",
    "Софія",
    "Тимофій",
];
const UKRAINIAN_FAMILY: &[&str] = &[
    "Бойко",
    "Бондаренко",
    "Гончар",
    "Гриценко",
    "Захарчук",
    "Іваненко",
    "Коваленко",
    "Кравченко",
    "Лисенко",
    "Мельник",
    "Мороз",
    "Олійник",
    "Павленко",
    "Поліщук",
    "Савчук",
    "Ткаченко",
    "Федорів",
    "Шевченко",
    "Шевчук",
    "Юрченко",
];
const UKRAINIAN_STARTS: &[&str] = &[
    "ба", "бе", "ви", "во", "га", "го", "да", "де", "до", "є", "жа", "жи", "за", "зо", "і", "ка", "ко", "ку", "ла",
    "лі", "лю", "ма", "мо", "на", "не", "ні", "о", "па", "пе", "пі", "по", "при", "про", "ра", "ро", "са", "се", "сто",
    "та", "ті", "то", "у", "хо", "ці", "ча", "що", "я",
];
const UKRAINIAN_ENDS: &[&str] = &[
    "в", "вав", "вала", "вся", "го", "є", "ємо", "й", "ка", "ки", "ла", "ли", "ло", "ль", "м", "ми", "на", "ний",
    "ння", "ну", "ння", "ого", "р", "ра", "сть", "т", "ти", "тися", "ть", "х", "ця", "ю", "ють",
];
const DARI_GIVEN: &[&str] = &[
    "آرزو",
    "احمدشاه",
    "بهرام",
    "پروین",
    "تهمینه",
    "حمیدالله",
    "خدیجه",
    "داوود",
    "رحیمه",
    "زرغونه",
    "ژاله",
    "سمیع",
    "شکریه",
    "فریدون",
    "کریمه",
    "گل‌احمد",
    "لطیفه",
    "نجیب‌الله",
    "نرگس",
    "وحیده",
];
const DARI_FAMILY: &[&str] = &[
    "احمدزی",
    "امیری",
    "بارکزی",
    "پوپل",
    "تاجیک",
    "جعفری",
    "حیدری",
    "رحیمی",
    "رسولی",
    "زاهدی",
    "سادات",
    "شریفی",
    "صدیقی",
    "عزیزی",
    "فیضی",
    "کریمی",
    "محمدی",
    "نظری",
    "نوری",
    "هوتک",
];
const DARI_STARTS: &[&str] = &[
    "آ", "با", "بر", "بی", "پا", "پر", "پی", "تا", "تو", "جا", "چا", "چی", "خا", "خو", "دا", "در", "دی", "را", "رو",
    "زا", "ژا", "سا", "سر", "شا", "شو", "فا", "کا", "کو", "گا", "گر", "گو", "لا", "ما", "می", "نا", "نو", "نی", "ها",
    "هم", "وا", "یا", "یک",
];
const DARI_ENDS: &[&str] = &[
    "ان", "ت", "تر", "د", "دن", "دند", "ده", "ر", "را", "رد", "ز", "ست", "ش", "شان", "گاه", "گر", "گی", "ل", "م",
    "مان", "ن", "نامه", "ند", "ه", "های", "ک", "ی", "یم", "چه",
];
