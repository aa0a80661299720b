"""SQLite files of the shapes of two public samples, with generated rows: names, types, keys and
references are those of Chinook (a music shop; github.com/lerocha/chinook-database, MIT) and
Northwind (github.com/jpwhite3/northwind-SQLite3, MIT); no row is theirs."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

CHINOOK = """
create table [Artist] ([ArtistId] INTEGER NOT NULL, [Name] NVARCHAR(120),
    CONSTRAINT [PK_Artist] PRIMARY KEY ([ArtistId]));
create table [Album] ([AlbumId] INTEGER NOT NULL, [Title] NVARCHAR(160) NOT NULL,
    [ArtistId] INTEGER NOT NULL, CONSTRAINT [PK_Album] PRIMARY KEY ([AlbumId]),
    FOREIGN KEY ([ArtistId]) REFERENCES [Artist] ([ArtistId])
        ON DELETE NO ACTION ON UPDATE NO ACTION);
create table [Employee] ([EmployeeId] INTEGER NOT NULL, [LastName] NVARCHAR(20) NOT NULL,
    [FirstName] NVARCHAR(20) NOT NULL, [Title] NVARCHAR(30), [ReportsTo] INTEGER,
    [BirthDate] DATETIME, [HireDate] DATETIME, [Email] NVARCHAR(60),
    CONSTRAINT [PK_Employee] PRIMARY KEY ([EmployeeId]),
    FOREIGN KEY ([ReportsTo]) REFERENCES [Employee] ([EmployeeId])
        ON DELETE NO ACTION ON UPDATE NO ACTION);
create table [Customer] ([CustomerId] INTEGER NOT NULL, [FirstName] NVARCHAR(40) NOT NULL,
    [LastName] NVARCHAR(20) NOT NULL, [Company] NVARCHAR(80), [Email] NVARCHAR(60) NOT NULL,
    [SupportRepId] INTEGER, CONSTRAINT [PK_Customer] PRIMARY KEY ([CustomerId]),
    FOREIGN KEY ([SupportRepId]) REFERENCES [Employee] ([EmployeeId])
        ON DELETE NO ACTION ON UPDATE NO ACTION);
create table [Genre] ([GenreId] INTEGER NOT NULL, [Name] NVARCHAR(120),
    CONSTRAINT [PK_Genre] PRIMARY KEY ([GenreId]));
create table [MediaType] ([MediaTypeId] INTEGER NOT NULL, [Name] NVARCHAR(120),
    CONSTRAINT [PK_MediaType] PRIMARY KEY ([MediaTypeId]));
create table [Track] ([TrackId] INTEGER NOT NULL, [Name] NVARCHAR(200) NOT NULL,
    [AlbumId] INTEGER, [MediaTypeId] INTEGER NOT NULL, [GenreId] INTEGER,
    [Composer] NVARCHAR(220), [Milliseconds] INTEGER NOT NULL, [Bytes] INTEGER,
    [UnitPrice] NUMERIC(10,2) NOT NULL, CONSTRAINT [PK_Track] PRIMARY KEY ([TrackId]),
    FOREIGN KEY ([AlbumId]) REFERENCES [Album] ([AlbumId])
        ON DELETE NO ACTION ON UPDATE NO ACTION,
    FOREIGN KEY ([GenreId]) REFERENCES [Genre] ([GenreId])
        ON DELETE NO ACTION ON UPDATE NO ACTION,
    FOREIGN KEY ([MediaTypeId]) REFERENCES [MediaType] ([MediaTypeId])
        ON DELETE NO ACTION ON UPDATE NO ACTION);
create table [Invoice] ([InvoiceId] INTEGER NOT NULL, [CustomerId] INTEGER NOT NULL,
    [InvoiceDate] DATETIME NOT NULL, [BillingCountry] NVARCHAR(40),
    [Total] NUMERIC(10,2) NOT NULL, CONSTRAINT [PK_Invoice] PRIMARY KEY ([InvoiceId]),
    FOREIGN KEY ([CustomerId]) REFERENCES [Customer] ([CustomerId])
        ON DELETE NO ACTION ON UPDATE NO ACTION);
create table [InvoiceLine] ([InvoiceLineId] INTEGER NOT NULL, [InvoiceId] INTEGER NOT NULL,
    [TrackId] INTEGER NOT NULL, [UnitPrice] NUMERIC(10,2) NOT NULL, [Quantity] INTEGER NOT NULL,
    CONSTRAINT [PK_InvoiceLine] PRIMARY KEY ([InvoiceLineId]),
    FOREIGN KEY ([InvoiceId]) REFERENCES [Invoice] ([InvoiceId])
        ON DELETE NO ACTION ON UPDATE NO ACTION,
    FOREIGN KEY ([TrackId]) REFERENCES [Track] ([TrackId])
        ON DELETE NO ACTION ON UPDATE NO ACTION);
create table [Playlist] ([PlaylistId] INTEGER NOT NULL, [Name] NVARCHAR(120),
    CONSTRAINT [PK_Playlist] PRIMARY KEY ([PlaylistId]));
create table [PlaylistTrack] ([PlaylistId] INTEGER NOT NULL, [TrackId] INTEGER NOT NULL,
    CONSTRAINT [PK_PlaylistTrack] PRIMARY KEY ([PlaylistId], [TrackId]),
    FOREIGN KEY ([PlaylistId]) REFERENCES [Playlist] ([PlaylistId])
        ON DELETE NO ACTION ON UPDATE NO ACTION,
    FOREIGN KEY ([TrackId]) REFERENCES [Track] ([TrackId])
        ON DELETE NO ACTION ON UPDATE NO ACTION);
create index [IFK_AlbumArtistId] on [Album] ([ArtistId]);
create index [IFK_CustomerSupportRepId] on [Customer] ([SupportRepId]);
create index [IFK_TrackAlbumId] on [Track] ([AlbumId]);
create index [IFK_InvoiceLineTrackId] on [InvoiceLine] ([TrackId]);
"""
NORTHWIND = """
create table [Categories] ([CategoryID] INTEGER PRIMARY KEY AUTOINCREMENT, [CategoryName] TEXT,
    [Description] TEXT, [Picture] BLOB);
create table [Customers] ([CustomerID] TEXT, [CompanyName] TEXT, [ContactName] TEXT,
    [Country] TEXT, PRIMARY KEY (`CustomerID`));
create table [Employees] ([EmployeeID] INTEGER PRIMARY KEY AUTOINCREMENT, [LastName] TEXT,
    [FirstName] TEXT, [BirthDate] DATE, [HireDate] DATE, [Photo] BLOB, [ReportsTo] INTEGER,
    FOREIGN KEY ([ReportsTo]) REFERENCES [Employees] ([EmployeeID])
        ON DELETE NO ACTION ON UPDATE NO ACTION);
create table [Regions] ([RegionID] INTEGER NOT NULL PRIMARY KEY, [RegionDescription] TEXT NOT NULL);
create table [Territories] ([TerritoryID] TEXT NOT NULL, [TerritoryDescription] TEXT NOT NULL,
    [RegionID] INTEGER NOT NULL, PRIMARY KEY ([TerritoryID]),
    FOREIGN KEY ([RegionID]) REFERENCES [Regions] ([RegionID]));
create table [EmployeeTerritories] ([EmployeeID] INTEGER NOT NULL, [TerritoryID] TEXT NOT NULL,
    PRIMARY KEY ("EmployeeID", "TerritoryID"),
    FOREIGN KEY ([EmployeeID]) REFERENCES [Employees] ([EmployeeID]),
    FOREIGN KEY ([TerritoryID]) REFERENCES [Territories] ([TerritoryID]));
create table [Shippers] ([ShipperID] INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    [CompanyName] TEXT NOT NULL, [Phone] TEXT);
create table [Suppliers] ([SupplierID] INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    [CompanyName] TEXT NOT NULL, [HomePage] TEXT);
create table [Products] ([ProductID] INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    [ProductName] TEXT NOT NULL, [SupplierID] INTEGER, [CategoryID] INTEGER,
    [UnitPrice] NUMERIC DEFAULT 0, [UnitsInStock] INTEGER DEFAULT 0,
    [Discontinued] TEXT NOT NULL DEFAULT '0', CHECK ([UnitPrice] >= (0)),
    CHECK ([UnitsInStock] >= (0)),
    FOREIGN KEY ([CategoryID]) REFERENCES [Categories] ([CategoryID]),
    FOREIGN KEY ([SupplierID]) REFERENCES [Suppliers] ([SupplierID]));
create table [Orders] ([OrderID] INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, [CustomerID] TEXT,
    [EmployeeID] INTEGER, [OrderDate] DATETIME, [ShippedDate] DATETIME, [ShipVia] INTEGER,
    [Freight] NUMERIC DEFAULT 0, [ShipName] TEXT,
    FOREIGN KEY ([EmployeeID]) REFERENCES [Employees] ([EmployeeID]),
    FOREIGN KEY ([CustomerID]) REFERENCES [Customers] ([CustomerID]),
    FOREIGN KEY ([ShipVia]) REFERENCES [Shippers] ([ShipperID]));
create table [Order Details] ([OrderID] INTEGER NOT NULL, [ProductID] INTEGER NOT NULL,
    [UnitPrice] NUMERIC NOT NULL DEFAULT 0, [Quantity] INTEGER NOT NULL DEFAULT 1,
    [Discount] REAL NOT NULL DEFAULT 0, PRIMARY KEY ("OrderID", "ProductID"),
    CHECK ([Discount] >= (0) and [Discount] <= (1)), CHECK ([Quantity] > (0)),
    CHECK ([UnitPrice] >= (0)),
    FOREIGN KEY ([OrderID]) REFERENCES [Orders] ([OrderID]),
    FOREIGN KEY ([ProductID]) REFERENCES [Products] ([ProductID]));
create view [Order Subtotals] as select [Order Details].OrderID,
    sum([Order Details].UnitPrice * Quantity * (1 - Discount)) as Subtotal
    from [Order Details] group by [Order Details].OrderID;
create view [Products Above Average Price] as select ProductName, UnitPrice from Products
    where UnitPrice > (select avg(UnitPrice) from Products);
"""
_WORDS = ("Ärger", "Straße", "O'Brien", "tab\there", "back\\slash", "naïve", "雨", "plain", "")
Rows = Iterable[Sequence[object]]


def chinook(path: Path, tracks: int = 1000, seed: int = 1) -> None:
    """Eleven tables; `tracks` of them, and about twice as many rows in others."""
    chance = random.Random(seed)
    artists, albums, people, invoices = (max(2, tracks // part) for part in (12, 10, 60, 8))
    playlists = max(2, tracks // 200)
    pairs = {(1 + at % playlists, 1 + at * 7 % tracks) for at in range(tracks * 2)}
    with closing(sqlite3.connect(path)) as file, file:
        file.executescript(CHINOOK)
        _fill(file, "Artist", artists, lambda at: (_name(chance),))
        _fill(file, "Album", albums, lambda at: (_name(chance), 1 + at % artists))
        _fill(file, "Employee", 8, lambda at: (
            _name(chance), _name(chance), "IT", None if at == 1 else 1, _moment(chance),
            _moment(chance), f"e{at}@example.com",
        ))  # fmt: skip
        _fill(file, "Customer", people, lambda at: (
            _name(chance), _name(chance), chance.choice((None, "Google")), f"c{at}@example.com",
            1 + at % 8,
        ))  # fmt: skip
        _fill(file, "Genre", 25, lambda at: (f"Genre {at}",))
        _fill(file, "MediaType", 5, lambda at: (f"Type {at}",))
        _fill(file, "Track", tracks, lambda at: (
            _name(chance), 1 + at % albums, 1 + at % 5, 1 + at % 25,
            chance.choice((None, _name(chance))), chance.randint(1000, 5_000_000),
            chance.randint(1, 1 << 31), chance.choice((0.99, 1.99)),
        ))  # fmt: skip
        _fill(file, "Invoice", invoices, lambda at: (
            1 + at % people, _moment(chance), chance.choice((None, "Norway")),
            chance.randint(99, 2599) / 100,
        ))  # fmt: skip
        _fill(file, "InvoiceLine", invoices * 5, lambda at: (
            1 + at % invoices, 1 + at % tracks, chance.choice((0.99, 1.99)), 1,
        ))  # fmt: skip
        _fill(file, "Playlist", playlists, lambda at: (f"List {at}",))
        _insert(file, "PlaylistTrack", sorted(pairs))


def northwind(path: Path, orders: int = 300, seed: int = 1) -> None:
    """Eleven tables and two views; `orders`, with two or three details each."""
    chance = random.Random(seed)
    customers = [f"C{at:04}" for at in range(max(2, orders // 9))]
    products = 77
    details = {(1 + at % orders, 1 + at * 13 % products) for at in range(orders * 5 // 2)}
    with closing(sqlite3.connect(path)) as file, file:
        file.executescript(NORTHWIND)
        _fill(file, "Categories", 8, lambda at: (_name(chance), "text", chance.randbytes(300)))
        _insert(file, "Customers", [(id_, _name(chance), None, "Spain") for id_ in customers])
        _fill(file, "Employees", 9, lambda at: (
            _name(chance), _name(chance), _day(chance), _day(chance), chance.randbytes(200),
            None if at == 2 else 2,
        ))  # fmt: skip
        _fill(file, "Regions", 4, lambda at: (f"Region {at}",))
        _insert(file, "Territories", [(f"{at:05}", f"Town {at}", 1 + at % 4) for at in range(53)])
        _insert(file, "EmployeeTerritories", [(1 + at % 9, f"{at:05}") for at in range(49)])
        _fill(file, "Shippers", 3, lambda at: (f"Shipper {at}", None))
        _fill(file, "Suppliers", 29, lambda at: (f"Supplier {at}", "#http://example.com#"))
        _fill(file, "Products", products, lambda at: (
            _name(chance), 1 + at % 29, 1 + at % 8, chance.randint(1, 20000) / 100,
            chance.randint(0, 120), chance.choice("01"),
        ))  # fmt: skip
        _fill(file, "Orders", orders, lambda at: (
            chance.choice(customers), 1 + at % 9, _moment(chance),
            chance.choice((None, _moment(chance))), 1 + at % 3, chance.randint(0, 90000) / 100,
            _name(chance),
        ))  # fmt: skip
        _insert(file, "Order Details", [
            (order, product, chance.randint(1, 20000) / 100, chance.randint(1, 99),
             chance.choice((0.0, 0.05, 0.1, 0.15, 0.25)))
            for order, product in sorted(details)
        ])  # fmt: skip


def _fill(
    file: sqlite3.Connection, table: str, count: int, row: Callable[[int], Sequence[object]]
) -> None:
    """Rows with numbers from one in the first column."""
    _insert(file, table, [(at, *row(at)) for at in range(1, count + 1)])


def _insert(file: sqlite3.Connection, table: str, rows: Sequence[Sequence[object]]) -> None:
    marks = ", ".join("?" for _ in rows[0])
    file.executemany(f"insert into [{table}] values ({marks})", rows)


def _name(chance: random.Random) -> str:
    return f"{chance.choice(_WORDS)} {chance.randint(1, 999)}"


def _day(chance: random.Random) -> str:
    return str(date(1940, 1, 1) + timedelta(days=chance.randint(0, 30000)))


def _moment(chance: random.Random) -> str:
    clock = f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}"
    return f"{_day(chance)} {clock}"
