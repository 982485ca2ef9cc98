-- Two years of business of the sample ERP (erp.sql), ending with a given day:
--
--     psql -f erp.sql -f data.sql              -- up to 2026-06-30
--     psql -v until=2026-12-31 -f ...          -- up to another day
--     psql -v seed=2 -f ...                    -- another history
--
-- The same `until` and `seed` give the same rows on every machine, because the
-- demo and its narration quote customers and amounts. That is why chance does
-- not come from setseed() and random(): those draw in the order in which a plan
-- happens to visit the rows. Here every draw is a hash of the seed and of what
-- it is drawn for.
--
-- What makes the data worth looking at: dealers order more in spring and before
-- Christmas; large ones order often and much; and each pays in a way of his own
-- (punctual, late, erratic, worse and worse, in parts, in advance, not any
-- more). Order, deliveries, invoice and payments of one sale add up to the cent,
-- so that orders less payments gives the same balance as invoices less payments
-- plus what has not been invoiced yet. The books open empty on the first day.
--
-- All names are invented.

\if :{?until}
\else
    \set until 2026-06-30
\endif
\if :{?seed}
\else
    \set seed 7
\endif

BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL DateStyle = 'ISO, YMD';

-- Chance: uniform in [0, 1), and standard normal (Box and Muller).
CREATE FUNCTION pg_temp.chance(what text, a int, b int DEFAULT 0) RETURNS float8
LANGUAGE sql IMMUTABLE
RETURN (hashtextextended(what || ':' || a || ':' || b, :seed) & 9007199254740991)
       / 9007199254740992.0::float8;

CREATE FUNCTION pg_temp.normal(what text, a int, b int DEFAULT 0) RETURNS float8
LANGUAGE sql IMMUTABLE
RETURN sqrt(-2 * ln(1 - pg_temp.chance(what || '/r', a, b)))
       * cos(2 * pi() * pg_temp.chance(what || '/a', a, b));

-- Nobody ships, bills or pays at a weekend.
CREATE FUNCTION pg_temp.working_day(d date) RETURNS date
LANGUAGE sql IMMUTABLE
RETURN d + CASE extract(isodow FROM d) WHEN 6 THEN 2 WHEN 7 THEN 1 ELSE 0 END;

-- ------------------------------------------------------------------ products

INSERT INTO erp.products (product_code, product_name, category, pack_size, list_price) VALUES
    ('HT-1010', 'Claw hammer 450 g, ash handle',        'Hand tools',    6,   9.40),
    ('HT-1020', 'Club hammer 1.5 kg',                   'Hand tools',    4,  12.90),
    ('HT-1110', 'Screwdriver set, 8 pieces',            'Hand tools',    6,  16.80),
    ('HT-1120', 'Hex key set, 9 pieces',                'Hand tools',   10,   6.20),
    ('HT-1210', 'Combination pliers 180 mm',            'Hand tools',    6,  11.30),
    ('HT-1220', 'Water pump pliers 250 mm',             'Hand tools',    6,  14.60),
    ('HT-1310', 'Hand saw 550 mm',                      'Hand tools',    5,  13.70),
    ('HT-1320', 'Mitre box with saw',                   'Hand tools',    2,  24.90),
    ('HT-1410', 'Spirit level 60 cm, aluminium',        'Hand tools',    4,  17.50),
    ('HT-1420', 'Tape measure 5 m',                     'Hand tools',   12,   4.30),
    ('HT-1510', 'Socket set 1/2 inch, 24 pieces',       'Hand tools',    1,  58.00),
    ('HT-1610', 'Tool box, sheet steel',                'Hand tools',    2,  31.50),
    ('PT-2010', 'Cordless drill 18 V, two batteries',   'Power tools',   1, 129.00),
    ('PT-2020', 'Impact driver 18 V',                   'Power tools',   1,  98.00),
    ('PT-2110', 'Angle grinder 125 mm, 900 W',          'Power tools',   1,  64.50),
    ('PT-2210', 'Jigsaw 650 W',                         'Power tools',   1,  72.00),
    ('PT-2310', 'Orbital sander 300 W',                 'Power tools',   1,  55.00),
    ('PT-2410', 'Hot air gun 2,000 W',                  'Power tools',   2,  34.90),
    ('PT-2510', 'Twist drill set HSS, 19 pieces',       'Power tools',   5,  15.20),
    ('PT-2520', 'Cutting disc 125 mm, 25 pieces',       'Power tools',   4,  18.40),
    ('FX-3010', 'Wood screws 4 x 40, 500 pieces',       'Fixings',      10,   7.90),
    ('FX-3020', 'Wood screws 6 x 100, 100 pieces',      'Fixings',      10,   9.60),
    ('FX-3110', 'Wall plugs 8 mm, 100 pieces',          'Fixings',      20,   3.10),
    ('FX-3120', 'Heavy-duty anchors M10, 25 pieces',    'Fixings',       5,  17.80),
    ('FX-3210', 'Wire nails 80 mm, 2.5 kg',             'Fixings',       6,   8.70),
    ('FX-3310', 'Hex bolts M8 x 60, 100 pieces',        'Fixings',       5,  13.20),
    ('FX-3410', 'Joist hanger 60 x 100',                'Fixings',      25,   2.15),
    ('FX-3510', 'Door hinge, stainless, pair',          'Fixings',      10,   6.90),
    ('FX-3610', 'Mortise lock 72 mm',                   'Fixings',       4,  19.30),
    ('FX-3620', 'Padlock 50 mm, brass',                 'Fixings',       6,  12.40),
    ('GA-4010', 'Spade, forged, T handle',              'Garden',        4,  27.50),
    ('GA-4020', 'Digging fork, four tines',             'Garden',        4,  26.90),
    ('GA-4030', 'Lawn rake, 22 tines',                  'Garden',        5,  11.80),
    ('GA-4110', 'Secateurs, bypass',                    'Garden',        6,  18.90),
    ('GA-4120', 'Loppers, telescopic',                  'Garden',        3,  32.00),
    ('GA-4130', 'Hedge shears',                         'Garden',        4,  23.40),
    ('GA-4210', 'Garden hose 20 m with fittings',       'Garden',        3,  29.80),
    ('GA-4220', 'Watering can 10 l, galvanised',        'Garden',        4,  21.60),
    ('GA-4310', 'Wheelbarrow 85 l',                     'Garden',        1,  69.00),
    ('GA-4410', 'Lawn mower, cordless 36 V',            'Garden',        1, 249.00),
    ('GA-4420', 'Hedge trimmer, cordless 18 V',         'Garden',        1, 112.00),
    ('GA-4510', 'Compost bin 400 l',                    'Garden',        1,  45.00),
    ('GA-4610', 'Bird feeder, larch',                   'Garden',        4,  14.90),
    ('HH-5010', 'Step ladder, five treads',             'Household',     1,  52.00),
    ('HH-5020', 'Extension lead, five sockets, 3 m',    'Household',     6,  10.70),
    ('HH-5110', 'LED work light 30 W',                  'Household',     2,  36.50),
    ('HH-5120', 'Head torch, rechargeable',             'Household',     6,  17.90),
    ('HH-5130', 'LED lamp E27 8 W, 10 pieces',          'Household',     5,  19.90),
    ('HH-5210', 'Bucket 12 l, enamelled',               'Household',     6,   9.80),
    ('HH-5220', 'Broom, horsehair, 40 cm',              'Household',     6,  11.20),
    ('HH-5310', 'Candles, beeswax, 12 pieces',          'Household',     6,  13.50),
    ('HH-5320', 'Fairy lights, outdoor, 20 m',          'Household',     4,  22.80),
    ('PA-6010', 'Wall paint, white, 10 l',              'Paint',         2,  38.00),
    ('PA-6020', 'Wood stain, oak, 2.5 l',               'Paint',         4,  26.30),
    ('PA-6110', 'Brush set, 5 pieces',                  'Paint',        10,   8.40),
    ('PA-6120', 'Paint roller set',                     'Paint',        10,   7.60),
    ('PA-6210', 'Masking tape 38 mm x 50 m',            'Paint',        24,   2.40),
    ('PA-6310', 'Silicone sealant, white, 310 ml',      'Paint',        12,   4.90);

-- ----------------------------------------------------------------- customers

-- The habit stays in here: no ERP has such a column, one has to find it out.
-- Dates are those for the usual `until` and move along with another one.
CREATE TEMPORARY TABLE dealer (
    customer_number    int PRIMARY KEY,
    customer_name      text,
    city               text,
    country            text,
    size_class         text,
    customer_since     date,
    payment_terms_days int,
    habit              text
) ON COMMIT DROP;

INSERT INTO dealer VALUES
    (101, 'Tuinwereld De Vlierhof', 'Apeldoorn', 'NL', 'C', date '2003-01-08', 30, 'punctual'),
    (102, 'IJzerhandel Van Duynslager NV', 'Gent', 'BE', 'B', date '2003-02-21', 30, 'erratic'),
    (103, 'Penhallow & Quill Hardware Ltd', 'Truro', 'GB', 'B', date '2003-04-07', 30, 'punctual'),
    (104, 'Schraubenkontor Zwickelmann', 'Zwickau', 'DE', 'C', date '2003-05-10', 30, 'punctual'),
    (105, 'Jardinerie des Trois Chênes', 'Rennes', 'FR', 'C', date '2003-06-10', 45, 'punctual'),
    (106, 'Werkzeug-Depot Brinkmöller GmbH', 'Bielefeld', 'DE', 'B', date '2003-08-28', 30, 'late'),
    (107, 'Dārza Centrs Ābeļzieds SIA', 'Liepāja', 'LV', 'C', date '2003-09-26', 30, 'erratic'),
    (108, 'Alati Đurđevina d.o.o.', 'Zagreb', 'HR', 'B', date '2003-10-05', 45, 'worsening'),
    (109, 'Profiwerk Lüttichau & Sohn', 'Dresden', 'DE', 'C', date '2004-06-18',  0, 'advance'),
    (110, 'Metal-Dąbrówka sp. z o.o.', 'Gdańsk', 'PL', 'B', date '2004-12-14', 30, 'punctual'),
    (111, 'Eisenhof Grünangerl GmbH', 'Graz', 'AT', 'C', date '2005-05-15', 30, 'punctual'),
    (112, 'Gartencenter Löffelsterz', 'Ulm', 'DE', 'C', date '2005-07-14', 30, 'punctual'),
    (113, 'Lumières d''Aubépine SARL', 'Angers', 'FR', 'A', date '2005-08-01', 45, 'erratic'),
    (114, 'Gülçiçek Bahçe Ltd. Şti.', 'İzmir', 'TR', 'B', date '2005-09-21', 30, 'late'),
    (115, 'Serres et Saisons SARL', 'Avignon', 'FR', 'A', date '2005-11-11', 45, 'late'),
    (116, 'Puutarha Yöperhonen Oy', 'Turku', 'FI', 'C', date '2006-03-10', 14, 'late'),
    (117, 'Bricolage Fontanès SAS', 'Nîmes', 'FR', 'A', date '2006-07-08', 45, 'punctual'),
    (118, 'Ogrody Żabieniec', 'Poznań', 'PL', 'C', date '2006-10-01', 30, 'worsening'),
    (119, 'Kilbrannoch Hardware Ltd', 'Cork', 'IE', 'B', date '2006-10-07', 30, 'late'),
    (120, 'Lagerhalle Pötzelsdorf eG', 'Wels', 'AT', 'A', date '2006-10-26', 30, 'punctual'),
    (121, 'Įrankių Sandėlis Žvirblis UAB', 'Kaunas', 'LT', 'B', date '2006-12-10', 30, 'punctual'),
    (122, 'Outillage Rivière-aux-Érables inc.', 'Québec', 'CA', 'C', date '2007-04-13', 45, 'worsening'),
    (123, 'Nordlicht Elektrobedarf GmbH', 'Flensburg', 'DE', 'B', date '2007-08-22', 30, 'punctual'),
    (124, 'Les Établis de Gascogne', 'Auch', 'FR', 'C', date '2007-12-07', 45, 'punctual'),
    (125, 'Gereedschapshuis Oosterweelde B.V.', 'Zwolle', 'NL', 'B', date '2008-10-19', 30, 'punctual'),
    (126, 'Verktygshuset Sjöstråle AB', 'Göteborg', 'SE', 'B', date '2008-11-03', 30, 'punctual'),
    (127, 'Jardinería Añoranza', 'Sevilla', 'ES', 'C', date '2008-12-17', 60, 'punctual'),
    (128, 'Vasudvar Kőszikla Zrt.', 'Debrecen', 'HU', 'A', date '2009-02-19', 30, 'punctual'),
    (129, 'Σιδηρικά Αμπελώνας Ε.Π.Ε.', 'Thessaloniki', 'GR', 'C', date '2009-06-14', 60, 'erratic'),
    (130, 'Rautakauppa Käpylehto Oy', 'Tampere', 'FI', 'B', date '2009-07-22', 14, 'punctual'),
    (131, 'Almacenes Ordóñez del Río', 'Córdoba', 'ES', 'C', date '2009-07-26', 60, 'late'),
    (132, 'Szerszámház Őrhegyi Kft.', 'Győr', 'HU', 'C', date '2009-08-11', 30, 'punctual'),
    (133, 'Outillage Crémant-Duval', 'Dijon', 'FR', 'C', date '2009-12-23',  0, 'advance'),
    (134, 'Järnhandeln Björkåsen AB', 'Örebro', 'SE', 'B', date '2010-02-15', 30, 'late'),
    (135, 'Ferretería Peñalosa Núñez S.L.', 'Valladolid', 'ES', 'C', date '2010-03-16', 60, 'worsening'),
    (136, 'Ökohof Wiesengründl', 'Passau', 'DE', 'C', date '2010-04-05', 30, 'late'),
    (137, 'Technischer Handel Süßkirch', 'Karlsruhe', 'DE', 'C', date '2010-11-03', 30, 'punctual'),
    (138, 'Ó Dálaigh Garden & Tool Ltd', 'Galway', 'IE', 'C', date '2010-11-09', 30, 'punctual'),
    (139, 'Jernvare Fjellhøgda AS', 'Bergen', 'NO', 'C', date '2010-11-10', 30, 'late'),
    (140, 'Työkalutalo Sääskilahti Oy', 'Oulu', 'FI', 'B', date '2011-01-04', 14, 'punctual'),
    (141, 'Heimwerkerhaus Ahrenshöft', 'Husum', 'DE', 'C', date '2011-03-19', 30, 'punctual'),
    (142, 'Zaunkönig Zaunbau GmbH', 'Münster', 'DE', 'C', date '2011-06-11', 30, 'partial'),
    (143, 'Λαμπτήρες Φάρος Α.Ε.', 'Limassol', 'CY', 'C', date '2011-07-11', 60, 'late'),
    (144, 'Utensileria Corvàglia', 'Lecce', 'IT', 'C', date '2012-07-18', 60, 'punctual'),
    (145, 'Bricolaje Montgrí-Puig S.L.', 'Girona', 'ES', 'B', date '2012-09-05', 60, 'punctual'),
    (146, 'Casa & Cortile Quaranta S.p.A.', 'Bologna', 'IT', 'B', date '2012-09-22', 60, 'partial'),
    (147, 'Bergwald Forsttechnik GmbH', 'Bayreuth', 'DE', 'B', date '2012-10-22', 30, 'erratic'),
    (148, 'Ferragens Conceição & Irmãos Lda.', 'Braga', 'PT', 'C', date '2012-11-20', 60, 'late'),
    (149, 'Haus & Hof Tannenried eG', 'Kempten', 'DE', 'B', date '2013-01-28', 30, 'punctual'),
    (150, 'Fachmarkt Kühlungstor', 'Wismar', 'DE', 'C', date '2013-03-16', 30, 'partial'),
    (151, 'Rheinwerkzeug Bölling AG', 'Düsseldorf', 'DE', 'B', date '2013-07-09', 30, 'punctual'),
    (152, 'Thistlewick Ironmongers Ltd', 'York', 'GB', 'B', date '2013-07-20', 30, 'punctual'),
    (153, 'Железария Бързия ООД', 'Plovdiv', 'BG', 'C', date '2013-08-15', 30, 'late'),
    (154, 'Jardins da Beira Avelã', 'Viseu', 'PT', 'C', date '2013-08-20', 60, 'partial'),
    (155, 'Vrtnarstvo Čebelnjak d.o.o.', 'Celje', 'SI', 'B', date '2013-09-15', 30, 'punctual'),
    (156, 'Grădina Păstorului SRL', 'Iași', 'RO', 'B', date '2014-03-20', 30, 'punctual'),
    (157, 'Giardino Ticinello SA', 'Lugano', 'CH', 'A', date '2015-04-05', 30, 'punctual'),
    (158, 'Farben Quastenberg OHG', 'Jena', 'DE', 'C', date '2015-06-22', 30, 'late'),
    (159, 'Gerätehof Mönchsgrün GmbH & Co. KG', 'Plauen', 'DE', 'A', date '2015-07-18', 30, 'partial'),
    (160, 'Colorificio Perlàsca', 'Como', 'IT', 'C', date '2015-07-23', 60, 'late'),
    (161, 'Nářadí Čáslavín a.s.', 'Hradec Králové', 'CZ', 'B', date '2015-11-24', 30, 'erratic'),
    (162, 'Eisenwaren Zübli AG', 'Winterthur', 'CH', 'B', date '2015-12-06', 30, 'late'),
    (163, 'Centro Edile Valdirose S.r.l.', 'Lucca', 'IT', 'B', date '2016-01-07', 60, 'punctual'),
    (164, 'Vivai Fossalunga', 'Treviso', 'IT', 'C', date '2016-03-24', 60, 'punctual'),
    (165, 'Kertvilág Gyöngyvirág Bt.', 'Pécs', 'HU', 'C', date '2016-03-28', 30, 'punctual'),
    (166, 'Járnvöruverslun Þórðar ehf.', 'Akureyri', 'IS', 'C', date '2016-05-27',  0, 'advance'),
    (167, 'Hagebusch Gartenbedarf', 'Göttingen', 'DE', 'C', date '2016-06-13', 30, 'punctual'),
    (168, 'Jernhandler Kjærulf-Bach A/S', 'Odense', 'DK', 'A', date '2016-06-21', 14, 'punctual'),
    (169, 'Værktøjsgården Sønderskov ApS', 'Aarhus', 'DK', 'C', date '2016-07-25', 14, 'erratic'),
    (170, 'Suministros Cigüeña S.A.', 'Zaragoza', 'ES', 'A', date '2016-08-01', 60, 'punctual'),
    (171, 'Bouwmarkt ''t Hoefijzer', 'Breda', 'NL', 'C', date '2016-08-04', 30, 'late'),
    (172, 'Fierărie Țărănească SRL', 'Cluj-Napoca', 'RO', 'B', date '2016-11-12', 30, 'worsening'),
    (173, 'Drogaria Falcão-Simões', 'Setúbal', 'PT', 'C', date '2016-11-19', 60, 'punctual'),
    (174, 'Kwekerij Noordermeer', 'Alkmaar', 'NL', 'C', date '2017-01-18', 30, 'punctual'),
    (175, 'Quincaillerie Éislek S.à r.l.', 'Diekirch', 'LU', 'C', date '2017-02-23', 30, 'punctual'),
    (176, 'Κήπος και Αυλή Ο.Ε.', 'Heraklion', 'GR', 'C', date '2017-03-02', 60, 'erratic'),
    (177, 'Établissements Virazelle', 'Périgueux', 'FR', 'C', date '2017-03-20', 45, 'partial'),
    (178, 'Werkhof Rüebliacher AG', 'Aarau', 'CH', 'B', date '2017-10-20', 30, 'punctual'),
    (179, 'Großhandel Seeblick Überlingen GmbH', 'Überlingen', 'DE', 'B', date '2017-11-07', 30, 'stopped'),
    (180, 'Grüner Daumen Pöschwitz', 'Leipzig', 'DE', 'C', date '2017-12-05', 30, 'punctual'),
    (181, 'Handelsmaatschappij Terschuur-Vink B.V.', 'Amersfoort', 'NL', 'A', date '2017-12-09', 30, 'punctual'),
    (182, 'Leuchten Strahlmayr GmbH', 'München', 'DE', 'C', date '2018-04-09', 30, 'worsening'),
    (183, 'Záhrada Ľubovníček s.r.o.', 'Žilina', 'SK', 'B', date '2018-08-09', 30, 'punctual'),
    (184, 'Bauzentrum Weißelster GmbH', 'Gera', 'DE', 'B', date '2018-08-14', 30, 'late'),
    (185, 'Maison Hélouard SA', 'Orléans', 'FR', 'A', date '2018-10-28', 45, 'partial'),
    (186, 'Skład Budowlany Gąsiorek', 'Wrocław', 'PL', 'C', date '2019-02-13', 30, 'punctual'),
    (187, 'Quincaillerie du Lac Bleuet SA', 'Neuchâtel', 'CH', 'B', date '2019-05-22', 30, 'late'),
    (188, 'Sägebedarf Hölzlin', 'Freudenstadt', 'DE', 'C', date '2019-07-27', 30, 'erratic'),
    (189, 'Baumarkt Wöhrdener Mühle KG', 'Heide', 'DE', 'C', date '2019-08-26',  0, 'advance'),
    (190, 'Comercial Atalaya Güímar', 'Santa Cruz de Tenerife', 'ES', 'C', date '2019-09-20', 60, 'punctual'),
    (191, 'Għodda u Ġonna Ltd', 'Mosta', 'MT', 'C', date '2019-11-09', 45, 'late'),
    (192, 'Željezarija Šibenka d.o.o.', 'Šibenik', 'HR', 'B', date '2020-01-12', 45, 'punctual'),
    (193, 'Matériaux Kervégan SAS', 'Quimper', 'FR', 'A', date '2020-01-13', 45, 'punctual'),
    (194, 'Outils Hesbignon SRL', 'Liège', 'BE', 'B', date '2020-02-05', 30, 'punctual'),
    (195, 'Comptoir du Fer Forgé', 'Mende', 'FR', 'C', date '2020-08-06', 45, 'late'),
    (196, 'Havehuset Ærøgård', 'Svendborg', 'DK', 'C', date '2020-10-08', 14, 'erratic'),
    (197, 'Zahradní Dům Šípek s.r.o.', 'Plzeň', 'CZ', 'C', date '2020-11-24', 30, 'worsening'),
    (198, 'Alpenwerkzeug Hölzlmoser KG', 'Innsbruck', 'AT', 'B', date '2021-04-09', 30, 'punctual'),
    (199, 'Dunmorrow Tools plc', 'Edinburgh', 'GB', 'A', date '2021-05-11', 30, 'punctual'),
    (200, 'Droguerie Saint-Éloi-du-Pont', 'Limoges', 'FR', 'C', date '2021-07-16', 45, 'erratic'),
    (201, 'Dílna a Dvůr Žďárek', 'Olomouc', 'CZ', 'C', date '2021-10-21', 30, 'punctual'),
    (202, 'Eisen-Öhlendorf KG', 'Celle', 'DE', 'B', date '2021-10-22', 30, 'late'),
    (203, 'Quincaillerie Béthoncourt & Fils SARL', 'Besançon', 'FR', 'A', date '2021-12-01', 45, 'punctual'),
    (204, 'Bygghallen Norrbränna', 'Umeå', 'SE', 'C', date '2022-06-22', 30, 'late'),
    (205, 'Železářství Křepelka s.r.o.', 'Brno', 'CZ', 'B', date '2022-07-12', 30, 'punctual'),
    (206, 'Aiakaubad Õunapuu OÜ', 'Tartu', 'EE', 'C', date '2022-09-25', 30, 'worsening'),
    (207, 'Hurtownia Źródełko sp. z o.o.', 'Łódź', 'PL', 'B', date '2022-12-23', 30, 'punctual'),
    (208, 'Eisenwaren Kröpelin GmbH', 'Rostock', 'DE', 'B', date '2023-01-25', 30, 'punctual'),
    (209, 'Trädgårdsboden Äppelviken AB', 'Uppsala', 'SE', 'B', date '2023-04-04', 30, 'partial'),
    (210, 'Landhandel Hüttener Berge eG', 'Eckernförde', 'DE', 'A', date '2023-04-09', 30, 'punctual'),
    (211, 'Herramientas Ibáñez-Corral S.L.', 'Bilbao', 'ES', 'B', date '2023-12-01', 60, 'punctual'),
    (212, 'Tuincentrum Groenendries BV', 'Leuven', 'BE', 'C', date '2025-02-15', 30, 'punctual'),
    (213, 'Hagestua Blåtopp AS', 'Trondheim', 'NO', 'C', date '2025-08-12', 30, 'punctual'),
    (214, 'Gartenreich Süßenbrunner', 'Wien', 'AT', 'C', date '2025-08-25', 30, 'punctual'),
    (215, 'Hausrat Dörnfeld & Söhne', 'Erfurt', 'DE', 'C', date '2025-08-27', 30, 'punctual'),
    (216, 'Narzędzia Świerczek sp.j.', 'Kraków', 'PL', 'B', date '2025-09-08', 30, 'punctual'),
    (217, 'Beschläge Ammerweg GmbH', 'Oldenburg', 'DE', 'B', date '2025-11-03', 30, 'punctual'),
    (218, 'Technika Ogrodowa Jeżyna', 'Lublin', 'PL', 'C', date '2026-01-11', 30, 'punctual'),
    (219, 'Ferramenta Brusaschi S.r.l.', 'Bergamo', 'IT', 'C', date '2026-01-16', 60, 'punctual'),
    (220, 'Pflanzenwelt Mühlbächer', 'Regensburg', 'DE', 'C', date '2026-04-16', 30, 'punctual');

UPDATE dealer SET customer_since = customer_since + (date :'until' - date '2026-06-30');

INSERT INTO erp.customers (customer_number, customer_name, city, country, size_class,
                           customer_since, payment_terms_days, discount_percent, vat_percent)
SELECT customer_number, customer_name, city, country, size_class,
       customer_since, payment_terms_days,
       CASE size_class WHEN 'A' THEN 15 WHEN 'B' THEN 8 ELSE 0 END,
       CASE country WHEN 'DE' THEN 19 ELSE 0 END
FROM dealer
ORDER BY customer_number;

-- -------------------------------------------------------------------- orders

-- Each day's share of the business of two years, as an interval of [0, 1): a
-- point in it drawn evenly falls more often into a busy month. (Weights are whole
-- numbers, so that their sums are exact and the intervals leave no gap.)
CREATE TEMPORARY TABLE business_day ON COMMIT DROP AS
SELECT d AS day,
       (sum(weight) OVER w - weight) / sum(weight) OVER () AS share_from,
       sum(weight) OVER w / sum(weight) OVER () AS share_to
FROM (SELECT d::date AS d,
             ('{75,85,120,130,125,110,90,75,100,105,115,70}'::float8[])
                 [extract(month FROM d)::int] AS weight
      FROM generate_series(date :'until' - interval '2 years' + interval '1 day',
                           date :'until', interval '1 day') AS d
      WHERE extract(isodow FROM d) < 6) AS weighted
WINDOW w AS (ORDER BY d);

-- How often and how much a dealer orders, and for how long he has been doing so.
CREATE TEMPORARY TABLE appetite ON COMMIT DROP AS
SELECT customer_number, size_class, habit, payment_terms_days,
       least(0.95, greatest(customer_since - first_day, 0) / (last_day - first_day)::float8) AS starts,
       CASE size_class WHEN 'A' THEN 68 WHEN 'B' THEN 34 ELSE 17 END
           * exp(0.18 * pg_temp.normal('orders', customer_number)) AS orders,
       CASE size_class WHEN 'A' THEN 34 WHEN 'B' THEN 15 ELSE 8 END
           * exp(0.25 * pg_temp.normal('packs', customer_number)) AS packs
FROM dealer,
     (SELECT min(day) AS first_day, max(day) AS last_day FROM business_day) AS period;

-- One row a sale, with everything that will happen to it, even after `until`:
-- what lies behind that day is cut off when documents are written. Dealers
-- restock at intervals, hence one point in each of n equal parts.
CREATE TEMPORARY TABLE sale ON COMMIT DROP AS
WITH point AS MATERIALIZED (
    SELECT a.*, n,
           starts + (1 - starts) * (n - 1 + pg_temp.chance('when', customer_number, n)) / planned AS at
    FROM (SELECT *, ceil(orders * (1 - starts))::int AS planned FROM appetite) AS a,
         generate_series(1, planned) AS n)
SELECT 10000 + row_number() OVER (ORDER BY day, customer_number, n)::int AS order_number,
       customer_number, size_class, habit, payment_terms_days, packs, day AS ordered
FROM point
JOIN business_day ON at >= share_from AND at < share_to;

ALTER TABLE sale
    ADD COLUMN required date,
    ADD COLUMN shipped date,
    ADD COLUMN invoiced date,
    ADD COLUMN fate text;

UPDATE sale SET
    required = pg_temp.working_day(ordered + 5 + floor(16 * pg_temp.chance('required', order_number))::int),
    fate = CASE
        WHEN ordered > date :'until' - 12 AND pg_temp.chance('fate', order_number) < 0.12 THEN 'draft'
        WHEN pg_temp.chance('fate', order_number) < 0.025 THEN 'cancelled'
        WHEN pg_temp.chance('fate', order_number) > 0.990 THEN 'backlog'
        ELSE 'delivered' END;

-- Most orders leave the house shortly before the day they are wanted for; what
-- is out of stock waits for weeks.
UPDATE sale SET
    shipped = pg_temp.working_day(greatest(ordered + 1, required
        + CASE fate WHEN 'backlog' THEN 20 ELSE -4 END
        + floor(5 * pg_temp.chance('shipped', order_number))::int));
UPDATE sale SET
    invoiced = pg_temp.working_day(shipped + floor(3 * pg_temp.chance('invoiced', order_number))::int);

-- Who has stopped paying gets no more goods after a while either.
DELETE FROM sale WHERE habit = 'stopped' AND ordered > date :'until' - 45;

INSERT INTO erp.orders (order_number, customer_number, order_date, required_date, shipped_date,
                        status, customer_reference)
SELECT order_number, customer_number, ordered, required,
       CASE WHEN fate IN ('delivered', 'backlog') AND shipped <= date :'until' THEN shipped END,
       CASE WHEN fate IN ('draft', 'cancelled') THEN fate
            WHEN invoiced <= date :'until' THEN 'invoiced'
            WHEN shipped <= date :'until' THEN 'shipped'
            WHEN ordered <= date :'until' - 4 THEN 'in process'
            ELSE 'confirmed' END,
       CASE WHEN pg_temp.chance('reference', order_number) < 0.7
            THEN 'PO ' || 1000 + floor(9000 * pg_temp.chance('po', order_number))::int END
FROM sale
ORDER BY order_number;

-- Lines by the thousand are totalled once, below, and not line by line.
ALTER TABLE erp.order_lines DISABLE TRIGGER order_lines_total;

WITH assortment AS MATERIALIZED (
    SELECT *, row_number() OVER (ORDER BY product_code) - 1 AS place FROM erp.products),
wish AS MATERIALIZED (
    SELECT s.order_number, s.customer_number, s.packs, line,
           -- some places apart in the list: no article twice in an order
           (floor(size * pg_temp.chance('article', s.order_number))::int + 7 * line) % size AS place
    FROM sale AS s,
         (SELECT count(*) AS size FROM assortment) AS list,
         generate_series(1, 2 + floor(
             CASE s.size_class WHEN 'A' THEN 6 WHEN 'B' THEN 4 ELSE 3 END
             * pg_temp.chance('lines', s.order_number))::int) AS line)
INSERT INTO erp.order_lines (order_number, line_number, product_code, quantity, unit_price,
                             discount_percent, vat_percent)
SELECT w.order_number, w.line, a.product_code,
       -- whole packs, and fewer of what is dear
       a.pack_size * greatest(1, round(w.packs * exp(0.45 * pg_temp.normal('quantity', w.order_number, w.line))
                                       * sqrt(60 / (a.pack_size * a.list_price))))::int,
       a.list_price, c.discount_percent, c.vat_percent
FROM wish AS w
JOIN assortment AS a USING (place)
JOIN erp.customers AS c USING (customer_number)
ORDER BY w.order_number, w.line;

ALTER TABLE erp.order_lines ENABLE TRIGGER order_lines_total;

UPDATE erp.orders AS o
SET total = l.total
FROM (SELECT order_number, sum(line_total) AS total FROM erp.order_lines GROUP BY order_number) AS l
WHERE l.order_number = o.order_number;

-- ------------------------------------------ deliveries, invoices and payments

-- Large dealers get every fourth of their orders in two parts.
WITH part AS (
    SELECT s.order_number, o.customer_number, o.total, o.shipped_date, n,
           s.size_class = 'A' AND pg_temp.chance('parts', s.order_number) < 0.25 AS is_split,
           pg_temp.working_day(greatest(o.order_date + 1, o.shipped_date - 4)) AS first_date
    FROM sale AS s
    JOIN erp.orders AS o USING (order_number),
         generate_series(1, 2) AS n
    WHERE o.shipped_date IS NOT NULL)
INSERT INTO erp.deliveries (delivery_number, order_number, customer_number, delivered_on, value)
SELECT 30000 + row_number() OVER (ORDER BY CASE n WHEN 1 THEN first_date ELSE shipped_date END, order_number, n),
       order_number, customer_number,
       CASE n WHEN 1 THEN first_date ELSE shipped_date END,
       CASE WHEN NOT is_split THEN total
            WHEN n = 1 THEN round(total * 0.6, 2)
            ELSE total - round(total * 0.6, 2) END
FROM part
WHERE is_split OR n = 2
ORDER BY 1;

INSERT INTO erp.invoices (invoice_id, customer_number, order_number, invoice_date, due_date, gross)
SELECT 50000 + row_number() OVER (ORDER BY s.invoiced, s.order_number),
       o.customer_number, o.order_number, s.invoiced, s.invoiced + s.payment_terms_days, o.total
FROM sale AS s
JOIN erp.orders AS o USING (order_number)
WHERE o.status = 'invoiced'
ORDER BY 1;

-- Instalments of each sale: the share paid up to and with each, and the day.
-- Days count from the due date, and `age` runs from 0 to 1 over the two years.
CREATE TEMPORARY TABLE instalment ON COMMIT DROP AS
SELECT s.order_number, s.customer_number, i.invoice_id, o.total,
       part.share_before, part.share,
       pg_temp.working_day(CASE s.habit
           -- in advance: the money is here when the order is entered
           WHEN 'advance' THEN s.ordered - 2
           ELSE greatest(s.invoiced + 1, s.invoiced + s.payment_terms_days + part.days_late) END) AS paid_on
FROM sale AS s
JOIN erp.orders AS o USING (order_number)
LEFT JOIN erp.invoices AS i USING (order_number)
CROSS JOIN LATERAL (
    SELECT 1 - (date :'until' - s.ordered) / 730.0 AS age,
           pg_temp.chance('late', s.order_number) AS u,
           pg_temp.normal('late', s.order_number) AS z) AS draw
CROSS JOIN LATERAL (
    SELECT 0.0, 1.0, (CASE s.habit
        WHEN 'late' THEN 12 + 3 * z
        WHEN 'erratic' THEN -8 + 55 * u * u
        WHEN 'worsening' THEN 2 * z + 45 * age * age
        ELSE -4 + 6 * u END)::int
    WHERE s.habit <> 'partial'
    UNION ALL
    SELECT share_before, share, days + (3 * u)::int
    FROM (VALUES (0.0, 0.5, 0), (0.5, 0.8, 16), (0.8, 1.0, 34)) AS third (share_before, share, days)
    WHERE s.habit = 'partial') AS part (share_before, share, days_late)
WHERE o.status NOT IN ('draft', 'cancelled')
  AND (i.invoice_id IS NOT NULL OR s.habit = 'advance');

-- What has come in by `until`: one transfer for all that is paid on a day.
CREATE TEMPORARY TABLE receipt ON COMMIT DROP AS
SELECT 80000 + dense_rank() OVER (ORDER BY paid_on, customer_number)::int AS id,
       order_number, customer_number, invoice_id, paid_on,
       round(total * share, 2) - round(total * share_before, 2) AS amount
FROM instalment
JOIN appetite USING (customer_number)
WHERE paid_on <= date :'until'
  AND NOT (habit = 'stopped' AND paid_on > date :'until' - 120);

INSERT INTO erp.payments (id, customer_number, amount, paid_on, method)
SELECT id, customer_number, sum(amount), paid_on,
       CASE WHEN pg_temp.chance('method', customer_number) < 0.75 THEN 'bank transfer'
            WHEN pg_temp.chance('method', customer_number) < 0.90 THEN 'direct debit'
            WHEN pg_temp.chance('method', customer_number) < 0.97 THEN 'card'
            ELSE 'cheque' END
FROM receipt
GROUP BY id, customer_number, paid_on
ORDER BY id;

-- Money of the last three weeks is not always matched to an invoice yet, as
-- accounts receivable have their backlog too.
INSERT INTO erp.payment_applications (payment_id, invoice_id, amount, applied_on)
SELECT r.id, invoice_id, sum(r.amount), greatest(r.paid_on, i.invoice_date)
FROM receipt AS r
JOIN erp.invoices AS i USING (invoice_id)
WHERE r.paid_on <= date :'until' - 21
   OR pg_temp.chance('matched', r.order_number) > 0.12
GROUP BY r.id, invoice_id, greatest(r.paid_on, i.invoice_date)
ORDER BY 1, 2;

UPDATE erp.invoices AS i
SET status = CASE WHEN p.paid >= i.gross THEN 'paid' ELSE 'partly paid' END
FROM (SELECT invoice_id, sum(amount) AS paid
      FROM erp.payment_applications GROUP BY invoice_id) AS p
WHERE p.invoice_id = i.invoice_id;

UPDATE erp.orders AS o
SET status = 'closed'
FROM erp.invoices AS i
WHERE i.order_number = o.order_number AND i.status = 'paid';

-- -------------------------------------------------------------------- limits

CREATE FUNCTION pg_temp.round_figure(amount float8, up bool) RETURNS numeric
LANGUAGE sql IMMUTABLE
RETURN (SELECT (CASE WHEN up THEN ceil(amount / step) ELSE floor(amount / step) END * step)::numeric
        FROM (SELECT CASE WHEN amount < 10000 THEN 500 WHEN amount < 25000 THEN 1000
                          WHEN amount < 100000 THEN 2500 ELSE 10000 END AS step) AS rounding);

-- About twice what is open on average, in round figures: so the limits were set
-- once. Nobody has looked at them since, and nothing has enforced them.
UPDATE erp.customers AS c
SET credit_limit = pg_temp.round_figure(greatest(1500, wanted), true)
FROM (SELECT a.customer_number,
             sum(o.total)::float8 / 730 / (1 - a.starts) * (a.payment_terms_days + 28)
             * (1.7 + 0.8 * pg_temp.chance('limit', a.customer_number)) AS wanted
      FROM appetite AS a
      JOIN erp.orders AS o USING (customer_number)
      WHERE o.status NOT IN ('draft', 'cancelled')
      GROUP BY a.customer_number, a.starts, a.payment_terms_days) AS proposed
WHERE proposed.customer_number = c.customer_number;

-- Hence the dealers who use most of theirs: three are above, among them the one
-- who has stopped paying, and five almost there.
WITH balance AS (
    SELECT customer_number, credit_limit, amount::float8 AS amount,
           row_number() OVER (ORDER BY habit = 'stopped' DESC, amount / credit_limit DESC,
                                       customer_number) AS place
    FROM erp.customers
    JOIN appetite USING (customer_number)
    JOIN (SELECT customer_number, sum(amount) AS amount
          FROM (SELECT customer_number, total FROM erp.orders WHERE status NOT IN ('draft', 'cancelled')
                UNION ALL
                SELECT customer_number, -amount FROM erp.payments) AS document (customer_number, amount)
          GROUP BY customer_number) AS open USING (customer_number)
    WHERE amount > 5000)
UPDATE erp.customers AS c
SET credit_limit = CASE WHEN place <= 3 THEN pg_temp.round_figure(amount * 0.96, false)
                        ELSE pg_temp.round_figure(amount * 1.005, true) END
FROM balance
WHERE balance.customer_number = c.customer_number
  AND balance.place <= 8;

UPDATE erp.customers SET credit_limit = 0 WHERE payment_terms_days = 0;
-- Of the newest customers nobody has thought yet.
UPDATE erp.customers SET credit_limit = NULL WHERE customer_since > date :'until' - 300;

-- ------------------------------------------------- numbers go on from the last

DO $$
BEGIN
    PERFORM setval(pg_get_serial_sequence('erp.customers', 'customer_number'), max(customer_number)) FROM erp.customers;
    PERFORM setval(pg_get_serial_sequence('erp.orders', 'order_number'), max(order_number)) FROM erp.orders;
    PERFORM setval(pg_get_serial_sequence('erp.deliveries', 'delivery_number'), max(delivery_number)) FROM erp.deliveries;
    PERFORM setval(pg_get_serial_sequence('erp.invoices', 'invoice_id'), max(invoice_id)) FROM erp.invoices;
    PERFORM setval(pg_get_serial_sequence('erp.payments', 'id'), max(id)) FROM erp.payments;
END
$$;

COMMIT;

VACUUM (ANALYZE) erp.customers, erp.products, erp.orders, erp.order_lines, erp.deliveries,
    erp.invoices, erp.payments, erp.payment_applications;
