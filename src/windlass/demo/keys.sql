-- The sample shop's keys, indexes, constraints, code, views and comments, over rows that are in.

alter table shop.customer add primary key (id);
alter table shop.customer add constraint customer_email_is_unique unique (email);
alter table shop.customer add unique (uid);
alter table shop.customer add constraint credit_has_a_limit check (credit > -500);
alter table shop.address add primary key (id);
alter table shop.category add primary key (id);
alter table shop.category add unique nulls not distinct (parent_id, name);
alter table shop.product add primary key (id);
alter table shop.product add unique (sku);
alter table shop.product add constraint vat_is_a_share check (vat >= 0 and vat < 1);
alter table shop.price add primary key (product_id, valid);
-- one price per product and day; a range of one number stands in for btree_gist's equality
alter table shop.price add constraint one_price_a_day exclude using gist
    (int8range(product_id, product_id, '[]') with &&, valid with &&);
alter table shop.product_image add primary key (id);
alter table shop.product_image add unique (product_id, position);
alter table shop.campaign add primary key (id);
alter table shop.campaign add constraint one_campaign_at_a_time exclude using gist
    (running with &&) where (not cancelled) deferrable initially deferred;
alter table shop.orders add primary key (id, placed_at);
alter table shop.order_line add primary key (order_id, line) include (placed_at);
alter table shop.order_line add constraint something_was_bought check (quantity > 0);
alter table shop.order_line add constraint discount_is_a_share check (discount between 0 and 1);
alter table shop.payment add primary key (id);
alter table shop.review add primary key (id);
alter table shop.review add constraint five_stars_at_most check (stars between 1 and 5);
alter table shop.visit add primary key (id);
alter table warehouse.supplier add primary key (id);
alter table warehouse.depot add primary key (id);
alter table warehouse.shipping_rate add constraint one_rate_a_weight exclude using gist
    (int4range(depot_id, depot_id, '[]') with &&, int4range(ascii(country), ascii(country), '[]') with &&,
     int4range(ascii(substr(country, 2)), ascii(substr(country, 2)), '[]') with &&, weight with &&);
alter table warehouse.stock_movement add primary key (id);
alter table warehouse.stock_movement add constraint something_moved check (quantity <> 0);
alter table "Back Office".department add primary key (id);
alter table "Back Office".employee add primary key (id);
alter table "Back Office".employee add unique ("Badge №");
alter table "Back Office"."Shift Plan" add primary key (employee_id, during);
alter table "Back Office"."Shift Plan" add constraint "nobody works twice" exclude using gist
    (int4range(employee_id, employee_id, '[]') with &&, during with &&);
alter table "Back Office".document add primary key (id);
alter table "Back Office".invoice add primary key (id);

create unique index customer_email_any_case on shop.customer (lower(email));
create index address_of_customer on shop.address (customer_id);
create index address_position on shop.address using gist (position);
create index product_of_category on shop.product (category_id, released desc nulls last);
create index product_tags on shop.product using gin (tags);
create index product_attributes on shop.product using gin (attributes jsonb_path_ops);
create index product_search on shop.product using gin (search);
create index product_weight on shop.product (((size).weight_g)) where not discontinued;
create index orders_of_customer on shop.orders (customer_id, placed_at desc);
create index orders_to_do on shop.orders (status) where status in ('placed', 'paid', 'packed');
create index order_line_of_product on shop.order_line (product_id) include (quantity);
create index payment_of_order on shop.payment (order_id);
create index payment_reference on shop.payment using hash (reference);
create index review_of_product on shop.review (product_id, stars);
create index page_view_seen_at on shop.page_view using brin (seen_at) with (pages_per_range = 32);
create index page_view_of_visit on shop.page_view (visit_id);
create index stock_movement_of_product on warehouse.stock_movement (product_id, depot_id) include (quantity);

create statistics shop.address_city_says_country (dependencies, ndistinct)
    on city, country from shop.address;

-- customers and addresses, products and suppliers, departments and their heads point at each other
alter table shop.address add foreign key (customer_id) references shop.customer on delete cascade;
alter table shop.customer add foreign key (default_address_id) references shop.address
    on delete set null deferrable initially deferred;
alter table shop.category add foreign key (parent_id) references shop.category;
alter table shop.product add foreign key (category_id) references shop.category;
alter table shop.product add foreign key (supplier_id) references warehouse.supplier;
alter table warehouse.supplier add foreign key (best_seller_id) references shop.product
    deferrable initially immediate;
alter table shop.price add foreign key (product_id) references shop.product on delete cascade;
alter table shop.product_image add foreign key (product_id) references shop.product on delete cascade;
alter table shop.orders add foreign key (customer_id) references shop.customer;
alter table shop.orders add foreign key (address_id) references shop.address;
alter table shop.orders add foreign key (campaign_id) references shop.campaign;
alter table shop.order_line add foreign key (order_id, placed_at) references shop.orders on delete cascade;
alter table shop.order_line add foreign key (product_id) references shop.product;
alter table shop.payment add foreign key (order_id, placed_at) references shop.orders;
alter table shop.review add foreign key (product_id) references shop.product on delete cascade;
alter table shop.review add foreign key (customer_id) references shop.customer on delete cascade;
alter table shop.visit add foreign key (customer_id) references shop.customer on delete set null;
alter table shop.page_view add foreign key (visit_id) references shop.visit on delete cascade;
alter table warehouse.shipping_rate add foreign key (depot_id) references warehouse.depot;
alter table warehouse.stock_movement add foreign key (depot_id) references warehouse.depot;
alter table warehouse.stock_movement add foreign key (product_id) references shop.product;
alter table "Back Office".employee add foreign key (department_id) references "Back Office".department;
alter table "Back Office".employee add foreign key (manager_id) references "Back Office".employee;
alter table "Back Office".department add foreign key (head_id) references "Back Office".employee
    deferrable initially deferred;
alter table "Back Office"."Shift Plan" add foreign key (employee_id) references "Back Office".employee;

-- code ------------------------------------------------------------------------------------------

create function shop.touch() returns trigger
    language plpgsql
as $$
begin
    new.changed_at := now();
    return new;
end $$;

create function warehouse.in_stock(product bigint, depot smallint default null) returns bigint
    language sql stable
begin atomic
    select coalesce(sum(m.quantity), 0)
      from warehouse.stock_movement as m
     where m.product_id = product and (depot is null or m.depot_id = depot);
end;

create function warehouse.refuse_selling_air() returns trigger
    language plpgsql
    set search_path = warehouse, pg_temp
as $$
begin
    if new.reason = 'sale' and in_stock(new.product_id, new.depot_id) + new.quantity < 0 then
        raise exception 'depot % has too little of product %', new.depot_id, new.product_id
            using errcode = 'check_violation';
    end if;
    return new;
end $$;

create trigger touch_customer before update on shop.customer
    for each row when (old.* is distinct from new.*) execute function shop.touch();
create trigger touch_product before update of name, description, size, attributes on shop.product
    for each row execute function shop.touch();
create trigger nothing_from_nothing before insert on warehouse.stock_movement
    for each row execute function warehouse.refuse_selling_air();

create function shop.longer(so_far text, next text) returns text
    language sql immutable strict parallel safe
    return case when length(next) > length(so_far) then next else so_far end;

create aggregate shop.longest(text) (sfunc = shop.longer, stype = text, parallel = safe);

-- views -----------------------------------------------------------------------------------------

create view shop.offer as
select p.id, p.sku, p.name, shop.gross(r.net, p.vat) as price, c.name as category
  from shop.product as p
  join shop.price as r on r.product_id = p.id and r.valid @> current_date
  join shop.category as c on c.id = p.category_id
 where not p.discontinued;

create view shop.order_total with (security_barrier) as
select o.id, o.placed_at, o.customer_id, o.status, sum(l.total) as total, count(*) as lines
  from shop.orders as o
  join shop.order_line as l on l.order_id = o.id and l.placed_at = o.placed_at
 group by o.id, o.placed_at, o.customer_id, o.status;

create materialized view "Back Office".monthly_revenue as
select date_trunc('month', l.placed_at, 'UTC')::date as month, p.category_id,
       count(*) as lines, sum(l.total) as revenue
  from shop.order_line as l
  join shop.product as p on p.id = l.product_id
 group by 1, 2
  with data;
create unique index monthly_revenue_key on "Back Office".monthly_revenue (month, category_id);

create view "Back Office"."Revenue by Category" as
select c.name as "Category", r.month as "Month", r.revenue as "Revenue €"
  from "Back Office".monthly_revenue as r
  join shop.category as c on c.id = r.category_id;

create procedure "Back Office".refresh_reports()
    language plpgsql
as $$
begin
    refresh materialized view concurrently "Back Office".monthly_revenue;
end $$;

-- words -----------------------------------------------------------------------------------------

comment on schema shop is 'what customers see';
comment on schema "Back Office" is 'what they don''t';
comment on table shop.orders is 'One partition a month. Nothing is ever deleted here; ask accounts why.';
comment on column shop.orders.address_id is 'where it went, even if the customer has moved since';
comment on column shop.price.valid is 'half-open: the last day is the next price''s first';
comment on column "Back Office"."Shift Plan"."Wage €/h" is 'gross, without the night bonus';
comment on type shop.dimensions is 'of the parcel, not of the product';
comment on domain shop.email is 'syntax only: nobody has knocked there';
comment on constraint one_price_a_day on shop.price is 'the reason this shop uses PostgreSQL';
comment on index shop.orders_to_do is 'the packing list on the wall reads this every ten seconds';
comment on function shop.gross(numeric, numeric) is 'rounded to the cent, as the law wants it';
comment on view shop.offer is E'the web site''s front page\nprices are those of today';
comment on materialized view "Back Office".monthly_revenue is 'refreshed at night';
comment on trigger touch_customer on shop.customer is 'only when something really changed';
