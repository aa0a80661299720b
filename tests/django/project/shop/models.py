"""Models with all that loads have to respect."""

from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Lower, Now


def empty_settings() -> dict[str, object]:
    return {"news": True}


class Country(models.Model):
    code = models.CharField(max_length=2, unique=True)
    name = models.CharField(max_length=100)


class Customer(models.Model):
    class Level(models.TextChoices):
        PLAIN = "plain"
        GOLD = "gold"

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=50)
    country = models.ForeignKey(Country, models.PROTECT, null=True, blank=True)
    level = models.CharField(max_length=5, choices=Level.choices, default=Level.PLAIN)
    credit = models.DecimalField(
        max_digits=8, decimal_places=2, default=0, validators=[MinValueValidator(0)]
    )
    notes = models.TextField(blank=True, db_column="remarks")
    active = models.BooleanField(default=True)
    born = models.DateField(null=True, blank=True)
    seen = models.DateTimeField(null=True, blank=True)
    patience = models.DurationField(null=True, blank=True)
    token = models.UUIDField(default=uuid.uuid4, unique=True)
    preferences = models.JSONField(default=empty_settings)
    source = models.CharField(max_length=10, db_default="web")
    shout = models.GeneratedField(
        expression=Lower("name"), output_field=models.CharField(max_length=50), db_persist=True
    )
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)
    joined = models.DateTimeField(db_default=Now())


class Category(models.Model):
    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=50, blank=True)
    parent = models.ForeignKey("self", models.CASCADE, null=True, blank=True)


class Tag(models.Model):
    name = models.CharField(max_length=30, unique=True)


class Product(models.Model):
    sku = models.CharField(
        max_length=20, unique=True, validators=[RegexValidator(r"^[A-Z]{2}-\d+$")]
    )
    name = models.CharField(max_length=50)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    discount = models.IntegerField(default=0, validators=[MaxValueValidator(90)])
    tags = models.ManyToManyField(Tag)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=models.Q(price__gte=0), name="price_is_positive"),
        )


class Place(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=50)


class Restaurant(Place):
    stars = models.PositiveSmallIntegerField()


class Department(models.Model):
    name = models.CharField(max_length=30, unique=True)
    head = models.ForeignKey("Employee", models.SET_NULL, null=True, blank=True, related_name="+")


class Employee(models.Model):
    number = models.IntegerField(primary_key=True)
    department = models.ForeignKey(Department, models.CASCADE)


class Left(models.Model):
    """Refers to `Right`, which refers to it: neither may be empty."""

    right = models.ForeignKey("Right", models.CASCADE, related_name="+")


class Right(models.Model):
    left = models.ForeignKey(Left, models.CASCADE, related_name="+")


class Stock(models.Model):
    product = models.ForeignKey(Product, models.CASCADE)
    place = models.ForeignKey(Place, models.CASCADE)
    pieces = models.PositiveIntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("product", "place"), name="one_stock"),)


class Visit(models.Model):
    """Nothing tells its rows apart but the counted key."""

    page = models.CharField(max_length=100)
    at = models.DateTimeField()


class Price(models.Model):
    """Says when it was last changed, in every way."""

    label = models.CharField(max_length=20, unique=True)
    amount = models.IntegerField()
    at = models.DateTimeField(auto_now=True)
    day = models.DateField(auto_now=True)
    time = models.TimeField(auto_now=True)


class Device(models.Model):
    """What other models have no field of."""

    address = models.GenericIPAddressField(null=True)
    firmware = models.BinaryField(default=b"")
    load = models.FloatField(null=True)
    counter = models.PositiveBigIntegerField(default=0)
    starts = models.TimeField(null=True)


class Rate(models.Model):
    """Somebody else's table."""

    code = models.CharField(max_length=3, primary_key=True)
    rate = models.DecimalField(max_digits=8, decimal_places=4, db_column="rate_pct")

    class Meta:
        managed = False
        db_table = "legacy_rates"
