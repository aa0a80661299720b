-- Text search: parsers, templates, dictionaries, configurations, and an index upon one.
create schema words;
set search_path = words;
create text search dictionary plain_words (template = simple, stopwords = english, accept = false);
create text search dictionary stems (template = snowball, language = german);
create text search dictionary "Odd ""dictionary"" %s" (template = simple);
create text search configuration mine (parser = default);
alter text search configuration mine add mapping for asciiword, word with stems, plain_words, simple;
alter text search configuration mine add mapping for numword, email, url with simple;
create text search configuration copied (copy = english);
alter text search configuration copied alter mapping for asciiword with plain_words, english_stem;
alter text search configuration copied drop mapping for url_path;
alter text search configuration copied owner to corpus_owner;
create text search template templ (init = dsimple_init, lexize = dsimple_lexize);
create text search dictionary by_template (template = templ);
create text search parser pars (
    start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype, headline = prsd_headline
);
create text search configuration by_parser (parser = pars);
create table documents (
    id int primary key, body text, vec tsvector generated always as (to_tsvector('words.mine', body)) stored,
    config regconfig default 'words.mine', dict regdictionary default 'words.stems'
);
insert into documents (id, body) values (1, 'Die Häuser sind groß'), (2, 'user@example.com 12345'), (3, null);
create index on documents using gin (vec);
create index on documents using gin (to_tsvector('words.copied', body));
