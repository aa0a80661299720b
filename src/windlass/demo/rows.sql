-- The sample shop's rows. Every value is a function of the row's number, so two fillings are
-- equal whatever the plan, the version or the number of workers.

-- 0 to n - 1, looking random; `salt` keeps the columns of a row apart
create function pg_temp.pick(i bigint, salt bigint, n bigint) returns integer
    language sql immutable parallel safe
    return (hashint8extended(i, salt) & 2147483647) % n;

create function pg_temp.one_of(words text[], i bigint, salt bigint) returns text
    language sql immutable parallel safe
    return words[1 + pg_temp.pick(i, salt, cardinality(words))];

create function pg_temp.person(i bigint) returns text
    language sql immutable parallel safe
    return pg_temp.one_of('{Ada,Amélie,Björn,Carla,Chloé,Dmitri,Edsger,Elif,Emma,Fatima,Grace,Håkon,
            Ines,Jürgen,Kofi,Lena,Liam,Mateo,Mei,Noah,Nour,Olga,Paulo,Priya,Quentin,Rosa,Søren,
            Tomáš,Uma,Víctor,Wanda,Xavier,Yuki,Zoë,李娜,Łukasz}', i, 1)
        || ' '
        || pg_temp.one_of('{Andersen,Bauer,Çelik,Costa,Dubois,Eriksson,Fischer,García,Hoffmann,Ivanov,
            Jensen,Kowalski,Lindqvist,Martin,Müller,Nakamura,Novák,O''Brien,Okafor,Pérez,Rossi,
            Schmidt,Silva,Singh,Størm,Tanaka,van der Berg,Weber,Yılmaz,Zhang}', i, 2);

create function pg_temp.id_of(i bigint, salt bigint) returns uuid
    language sql immutable parallel safe
    return md5(i || '/' || salt)::uuid;

create function pg_temp.many(n integer) returns integer
    language sql stable
    return greatest(1, round(n * current_setting('sample.scale')::numeric))::integer;

create temporary table size as
select pg_temp.many(60000)  as customers,
       pg_temp.many(75000)  as addresses,
       pg_temp.many(8000)   as products,
       pg_temp.many(600)    as images,
       pg_temp.many(200000) as orders,
       pg_temp.many(60000)  as reviews,
       pg_temp.many(40000)  as visits,
       pg_temp.many(180000) as page_views,
       pg_temp.many(200000) as movements,
       pg_temp.many(9000)   as invoices,
       200                  as employees,
       300                  as suppliers,
       timestamptz '2025-01-01 00:00+00' as opening,
       365 * 86400          as seconds;

-- shop ------------------------------------------------------------------------------------------

insert into shop.customer (id, uid, name, email, born, channels, credit, preferences,
                           default_address_id, joined_at, changed_at)
overriding system value
select i, pg_temp.id_of(i, 10), name,
       translate(lower(split_part(name, ' ', 1)), 'éåöüëøšíł李娜Ł', 'eaoueosillnl') || '.' || i || '@'
           || pg_temp.one_of('{example.com,example.org,mail.example.net}', i, 11),
       case when pg_temp.pick(i, 12, 5) > 0 then date '1940-01-01' + pg_temp.pick(i, 13, 24000) end,
       (array['{mail}', '{mail,app}', '{sms,app}', '{}', '{post}', '{mail,sms,post,app}'])
           [1 + pg_temp.pick(i, 14, 6)]::shop.channel[],
       (pg_temp.pick(i, 15, 20000) - 5000) / 100.0,
       jsonb_build_object('newsletter', pg_temp.pick(i, 16, 2) = 1,
                          'language', pg_temp.one_of('{de,en,fr,da,pl,tr}', i, 17),
                          'size', pg_temp.one_of('{S,M,L,XL}', i, 18)),
       i,
       opening - pg_temp.pick(i, 19, 120000000) * interval '1 second',
       case when pg_temp.pick(i, 20, 3) = 0
            then opening + pg_temp.pick(i, 21, seconds) * interval '1 second' end
  from size, generate_series(1, customers) as i, pg_temp.person(i) as name;

insert into shop.address (id, customer_id, label, street, postcode, city, country, position)
select i, customer_id,
       case when i > customers then pg_temp.one_of('{work,parents,"holiday home",neighbour}', i, 32) end,
       pg_temp.one_of('{Main Street,Lindenallee,Rue de la Paix,Østergade,ul. Długa,Calle Mayor,Via Roma,
            Bahnhofstraße,High Street,Kungsgatan}', i, 33) || ' ' || 1 + pg_temp.pick(i, 34, 180),
       lpad(pg_temp.pick(i, 35, 100000)::text, 5, '0'),
       (array['Berlin', 'München', 'Lyon', 'København', 'Kraków', 'Sevilla', 'Roma', 'Zürich',
              'Leeds', 'Malmö'])[place],
       (array['DE', 'DE', 'FR', 'DK', 'PL', 'ES', 'IT', 'CH', 'GB', 'SE'])[place],
       case when pg_temp.pick(i, 36, 10) > 0
            then point(pg_temp.pick(i, 37, 30000) / 1000.0 - 5, 36 + pg_temp.pick(i, 38, 24000) / 1000.0)
        end
  from size,
       generate_series(1, addresses) as i,
       -- the first address of each is the default one
       lateral (select case when i <= customers then i
                            else 1 + pg_temp.pick(i, 30, customers) end as customer_id,
                       1 + pg_temp.pick(i, 31, 10) as place) as chosen;

insert into shop.category (id, parent_id, name, slug)
select i, case when i > 8 then 1 + (i - 9) / 6 end,
       case when i <= 8 then top else top || ' · ' || sub end,
       lower(case when i <= 8 then top else top || '-' || sub end)
  from generate_series(1, 56) as i,
       lateral (select (array['Kitchen', 'Garden', 'Office', 'Bath', 'Bedroom', 'Workshop', 'Children',
                              'Outdoor'])[case when i <= 8 then i else 1 + (i - 9) / 6 end] as top,
                       (array['Furniture', 'Textiles', 'Tools', 'Lighting', 'Storage', 'Decoration'])
                           [1 + (i - 9) % 6] as sub) as word;

insert into shop.product (id, sku, name, description, category_id, supplier_id, size, tags, attributes,
                          vat, released, discontinued)
select i,
       chr(65 + i / 17576 % 26) || chr(65 + i / 676 % 26) || '-' || lpad((i % 1000000)::text, 6, '0'),
       style || ' ' || material || ' ' || thing,
       format('%s made of %s. %s', thing, lower(material), repeat(
           'Designed in small series, made to be repaired, packed without plastic. ',
           1 + pg_temp.pick(i, 40, 8))),
       9 + pg_temp.pick(i, 41, 48),
       1 + pg_temp.pick(i, 42, suppliers),
       case when pg_temp.pick(i, 43, 20) > 0 then row(
           50 + pg_temp.pick(i, 44, 2000), 50 + pg_temp.pick(i, 45, 1500),
           nullif(pg_temp.pick(i, 46, 1200), 0), pg_temp.pick(i, 47, 400000) / 10.0
       )::shop.dimensions end,
       (array['{}', '{new}', '{sale,last chance}', '{eco,"hand made"}', '{gift}', '{eco,gift,new}'])
           [1 + pg_temp.pick(i, 48, 6)]::text[],
       jsonb_build_object('colour', pg_temp.one_of('{oak,black,white,sand,petrol,"deep red"}', i, 49),
                          'material', lower(material),
                          'care', jsonb_build_array('wipe', pg_temp.pick(i, 50, 60)),
                          'warranty_years', case when i % 3 > 0 then i % 5 end),
       (array[0.190, 0.070, 0.000])[1 + pg_temp.pick(i, 51, 12) / 9],
       date '2019-03-01' + pg_temp.pick(i, 52, 2100),
       pg_temp.pick(i, 53, 25) = 0
  from size,
       generate_series(1, products) as i,
       lateral (select pg_temp.one_of('{Foldable,Round,Compact,Classic,Modular,Hanging,Tall,Little,Grand,
                    Nordic,Rustic,Slim,Stackable,Sturdy,Quiet,Bright,Soft,Curved,Double,Plain}', i, 54)
                           as style,
                       pg_temp.one_of('{Oak,Birch,Steel,Linen,Wool,Glass,Ceramic,Bamboo,Cork,Copper,
                    Leather,Marble,Walnut,Cotton,Felt}', i, 55) as material,
                       pg_temp.one_of('{Desk,Lamp,Chair,Shelf,Basket,Stool,Blanket,Bowl,Vase,Mirror,
                    Bench,Clock,Rug,Cupboard,Planter,Teapot,Kettle,Rack,Box,Tray,Hook,Curtain,Cushion,
                    Candle,Ladder,Trolley,Apron,Board,Jug,Frame}', i, 56) as thing) as word;

insert into shop.price (product_id, valid, net)
select i, daterange(first + period * 200, case when period < 2 then first + period * 200 + 200 end),
       round((300 + pg_temp.pick(i, 60, 29700)) * (100 + period * 4) / 10000.0, 2) - 0.01
  from size, generate_series(1, products) as i, generate_series(0, 2) as period,
       lateral (select date '2024-06-01' - pg_temp.pick(i, 61, 300) as first) as start;

insert into shop.product_image (id, product_id, position, content)
select pg_temp.id_of(i, 70), 1 + (i - 1) % products, 1 + (i - 1) / products,
       '\x89504e470d0a1a0a'::bytea || noise
  from size, generate_series(1, images) as i,
       lateral (select string_agg(sha512(int8send(i * 1000 + part)), null order by part) as noise
                  from generate_series(1, 100 + pg_temp.pick(i, 71, 300)) as part) as picture;

insert into shop.campaign (id, name, running, discount, codes, cancelled)
select i, pg_temp.one_of('{Spring,Summer,Autumn,Winter,Birthday,Clearance}', i, 80) || ' ' || i,
       tstzrange(opening + i * interval '9 days', opening + i * interval '9 days' + interval '7 days'),
       (array[0.05, 0.10, 0.15, 0.25])[1 + pg_temp.pick(i, 81, 4)],
       case when i % 4 > 0 then array['SAVE' || i, 'FRIENDS' || i] end,
       i % 10 = 0
  from size, generate_series(1, 38) as i;

insert into shop.orders (id, placed_at, customer_id, address_id, campaign_id, status, gift, client, note)
select 1000000 + i,
       opening + (i::bigint * seconds / (orders + 1)) * interval '1 second'
               + pg_temp.pick(i, 90, 1000000) * interval '1 microsecond',
       customer_id,
       customer_id,
       case when pg_temp.pick(i, 91, 6) = 0 then 1 + pg_temp.pick(i, 92, 38) end,
       case when i > orders * 0.98 then (array['placed', 'paid', 'packed'])[1 + i % 3]
            else (array['delivered', 'delivered', 'delivered', 'delivered', 'delivered', 'shipped',
                        'delivered', 'delivered', 'returned', 'cancelled'])
                     [1 + pg_temp.pick(i, 93, 10)]
        end::shop.order_status,
       pg_temp.pick(i, 94, 15) = 0,
       inet '10.0.0.0' + pg_temp.pick(i, 95, 16000000),
       case when pg_temp.pick(i, 96, 12) = 0
            then pg_temp.one_of('{"Please ring twice.","Leave it with the neighbours, 2nd floor.",
                    "It''s a present: no invoice in the parcel!","Bitte nicht vor 9 Uhr – danke 🙂"}', i, 97)
        end
  from size,
       generate_series(1, orders) as i,
       -- some buy often: the product of two picks leans to the small numbers
       lateral (select 1 + (pg_temp.pick(i, 98, customers)::bigint
                            * (1 + pg_temp.pick(i, 99, 1000)) / 1000)::integer as customer_id) as buyer;

insert into shop.order_line (order_id, placed_at, line, product_id, quantity, unit_price, discount)
select id, placed_at, line, product_id, 1 + pg_temp.pick(seed, 101, 9) / 6, net,
       case when campaign_id is null then 0 else 0.10 end
  from (select o.id, o.placed_at, o.campaign_id, line, o.id * 8 + line as seed,
               1 + pg_temp.pick(o.id * 8 + line, 100, products) as product_id
          from size, shop.orders as o,
               generate_series(1, 1 + pg_temp.pick(o.id, 102, 7) / 2) as line) as wanted
  join shop.price using (product_id)
 where upper_inf(valid)
 order by id, line;

insert into shop.payment (id, order_id, placed_at, method, amount, reference, answer, received_at)
select order_id - 1000000, order_id, placed_at, method::shop.payment_method, amount,
       pg_temp.id_of(order_id, 110),
       case when method = 'card'
            then jsonb_build_object('code', '00', 'brand', pg_temp.one_of('{visa,master,amex}', order_id, 111),
                                    'risk', pg_temp.pick(order_id, 112, 1000) / 1000.0) end,
       case when pg_temp.pick(order_id, 113, 50) > 0
            then placed_at + pg_temp.pick(order_id, 114, 200000) * interval '1 second' end
  from (select order_id, placed_at, sum(total) as amount,
               (array['card', 'card', 'card', 'invoice', 'bank transfer', 'voucher', 'cash on delivery'])
                   [1 + pg_temp.pick(order_id, 115, 7)] as method
          from shop.order_line
         group by order_id, placed_at) as bill
 order by order_id;

insert into shop.review (id, product_id, customer_id, stars, aspects, title, body, written_at)
overriding system value
select i, 1 + pg_temp.pick(i, 120, products), 1 + pg_temp.pick(i, 121, customers), stars,
       case when i % 4 > 0
            then array[stars, 1 + pg_temp.pick(i, 122, 5), nullif(pg_temp.pick(i, 123, 6), 0)] end,
       pg_temp.one_of('{"Love it","As described","Wobbles","Würde ich wieder kaufen","Hmm…","Très joli",
            "Returned it","5 ★","Looks better than on the picture"}', i, 124),
       case when pg_temp.pick(i, 125, 4) > 0
            then repeat(pg_temp.one_of('{"Arrived quickly and well packed. ","The colour is a bit darker. ",
                     "Second one I bought.\n","Mein Kater liebt es. "}', i, 126), 1 + pg_temp.pick(i, 127, 9))
        end,
       opening + pg_temp.pick(i, 128, seconds) * interval '1 second'
  from size, generate_series(1, reviews) as i,
       lateral (select (array[5, 5, 5, 4, 4, 3, 2, 1])[1 + pg_temp.pick(i, 129, 8)]::smallint as stars)
           as verdict;

insert into shop.visit (id, customer_id, started_at, lasted, client, agent)
select pg_temp.id_of(i, 130),
       case when pg_temp.pick(i, 131, 3) = 0 then 1 + pg_temp.pick(i, 132, customers) end,
       opening + (i::bigint * seconds / (visits + 1)) * interval '1 second',
       pg_temp.pick(i, 133, 5000) * interval '1 second',
       case when i % 5 = 0 then inet '2001:db8::' + pg_temp.pick(i, 134, 2000000000)
            else inet '198.51.100.0' + pg_temp.pick(i, 134, 256) end,
       pg_temp.one_of('{Firefox/143,Chrome/141,Safari/26,Edge/141,"a bot; +https://example.com/bot"}', i, 135)
  from size, generate_series(1, visits) as i;

insert into shop.page_view (visit_id, seen_at, path, took_ms, properties)
select pg_temp.id_of(1 + (i - 1) % visits, 130),
       opening + ((1 + (i - 1) % visits)::bigint * seconds / (visits + 1) + 30 * ((i - 1) / visits))
               * interval '1 second',
       '/product/' || 1 + pg_temp.pick(i, 140, products),
       pg_temp.pick(i, 141, 90000) / 100.0,
       case when i % 3 = 0
            then jsonb_build_object('from', pg_temp.one_of('{search,mail,ad,friend}', i, 142), 'depth', i % 9)
        end
  from size, generate_series(1, page_views) as i;

-- warehouse -------------------------------------------------------------------------------------

insert into warehouse.supplier (id, name, country, contacts, closed, best_seller_id)
select i, split_part(pg_temp.person(i + 7000), ' ', 2) || pg_temp.one_of('{" & Sons"," GmbH"," S.A."," A/S"}', i, 150),
       pg_temp.one_of('{DE,DK,FR,PL,IT,CN}', i, 151),
       case when i % 7 > 0 then array[
           row(pg_temp.person(i + 8000), 'sales' || i || '@example.com', '+49 30 ' || 100000 + i),
           row(pg_temp.person(i + 9000), null, null)
       ]::warehouse.contact[] else '{}' end,
       case when i % 3 > 0 then datemultirange(daterange('2025-08-01', date '2025-08-10' + i % 14),
                                               daterange('2025-12-23', '2026-01-02')) end,
       case when i % 10 > 0 then 1 + pg_temp.pick(i, 152, products) end
  from size, generate_series(1, suppliers) as i;

insert into warehouse.depot (id, name, location, opens, closes, network)
values (1, 'Hamburg', '(9.99,53.55)', '05:30', '22:00', '10.1.0.0/16'),
       (2, 'Poznań',  '(16.93,52.41)', '06:00', '23:59:59.999', '10.2.0.0/16'),
       (3, 'Lyon',    '(4.84,45.76)', '07:00', '19:00', '10.3.0.0/16'),
       (4, 'Malmö',   '(13.00,55.61)', '06:30', '18:30', 'fd00:4::/32'),
       (5, 'returns', '(0,0)', '00:00', '24:00', null);

insert into warehouse.shipping_rate (depot_id, country, weight, net)
select depot, country, warehouse.weight(step * step * 2.5, (step + 1) * (step + 1) * 2.5),
       3.90 + step * 2 + depot * 0.25
  from generate_series(1, 4) as depot, generate_series(0, 3) as step,
       unnest(array['DE', 'FR', 'DK', 'PL', 'ES', 'IT', 'CH', 'GB', 'SE']) as country;

insert into warehouse.stock_movement (id, depot_id, product_id, quantity, reason, moved_at)
select i, 1 + pg_temp.pick(i, 160, 5), 1 + pg_temp.pick(i, 161, products),
       case when pg_temp.pick(i, 162, 3) = 0 then 20 + pg_temp.pick(i, 163, 80)
            else -1 - pg_temp.pick(i, 164, 6) end,
       case when pg_temp.pick(i, 162, 3) = 0 then 'delivery'
            else pg_temp.one_of('{sale,sale,sale,sale,stocktaking,broken}', i, 165) end,
       opening + (i::bigint * seconds / (movements + 1)) * interval '1 second'
  from size, generate_series(1, movements) as i;

-- Back Office -----------------------------------------------------------------------------------

insert into "Back Office".department (id, name, head_id)
values (1, 'Management', 1), (2, 'Purchasing', 2), (3, 'Customer care', 3), (4, 'Logistics', 4),
       (5, 'Accounts', 5), (6, 'Unloved projects', null);

insert into "Back Office".employee (id, name, department_id, manager_id, "Badge №", salary, hired)
select i, pg_temp.person(i + 5000), case when i <= 5 then i else 1 + pg_temp.pick(i, 170, 5) end,
       case when i > 5 then 1 + pg_temp.pick(i, 171, 5) when i > 1 then 1 end,
       'B-' || lpad(i::text, 4, '0'), 28000 + pg_temp.pick(i, 172, 5200000) / 100.0,
       date '2012-01-01' + pg_temp.pick(i, 173, 4700)
  from size, generate_series(1, employees) as i;

insert into "Back Office"."Shift Plan" (employee_id, during, "Wage €/h", "order")
select i, tstzrange(start, start + interval '8 hours'), 13.50 + pg_temp.pick(i, 180, 2000) / 100.0, 1 + day % 3
  from size, generate_series(1, employees) as i, generate_series(1, 30) as day,
       lateral (select opening + day * interval '1 day' + (6 + 8 * (i % 2)) * interval '1 hour' as start)
           as shift;

insert into "Back Office".document (id, title, written_on, body)
select i, 'Minutes of week ' || i, date '2025-01-03' + i * 7, repeat('We talked about the weather. ', i)
  from generate_series(1, 51) as i;

insert into "Back Office".invoice (id, title, written_on, body, order_id, due, paid)
select 51 + i, 'Invoice ' || 1000000 + order_number, placed_on, null, 1000000 + order_number, placed_on + 30,
       case when i % 20 > 0 then i % 7 > 0 end
  from size, generate_series(1, least(invoices, orders)) as i,
       lateral (select i * (orders / least(invoices, orders)) as order_number) as chosen,
       lateral (select (opening + (order_number::bigint * seconds / (orders + 1)) * interval '1 second')::date
                           as placed_on) as day;

-- the sequences go on behind the last number
do $$
declare
    owned record;
begin
    for owned in
        select d.objid::regclass::text as sequence, d.refobjid::regclass::text as relation, attname as name
          from pg_depend as d
          join pg_class as c on c.oid = d.objid and c.relkind = 'S' and c.relpersistence = 'p'
          join pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
         where d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
    loop
        execute format('select setval(%L, max(%I)) from %s', owned.sequence, owned.name, owned.relation);
    end loop;
end $$;
select setval('shop.order_number', max(id)) from shop.orders;

drop table size;
