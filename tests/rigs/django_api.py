"""Django REST framework over the SQLite file of `shop.py`, with its three ways of paging: `/page/TABLE`, `/offset/TABLE` and
`/cursor/TABLE`. Decimals are texts and moments have the offset of Amsterdam, as the framework has it. `/_truth` is told by
SQLite.

    django_api.py [--port N] [--stay]
"""

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import path as route

from serving import serve

SIZE_MAX = 1_000

urlpatterns = []


def models_of():
    from django.db import models

    def table(name, /, **fields):
        meta = type("Meta", (), {"app_label": "shop", "db_table": name, "managed": False})
        return type(name.title(), (models.Model,), {"__module__": __name__, "Meta": meta, **fields})

    def money(**more):
        return models.DecimalField(max_digits=18, decimal_places=4, **more)

    customer = table(
        "customer", name=models.TextField(), remark=models.TextField(null=True), credit_limit=money(null=True),
        is_active=models.BooleanField(), created_on=models.DateField(),
    )
    purchase = table(
        "purchase", customer_id=models.IntegerField(), number=models.TextField(), total=money(),
        ordered_at=models.DateTimeField(), due_on=models.DateField(null=True),
    )
    line = table(
        "line", purchase_id=models.IntegerField(), product=models.TextField(), quantity=models.IntegerField(null=True), amount=money()
    )
    return [customer, purchase, line]


def routes_of(models):
    from rest_framework import generics, pagination, serializers

    class Page(pagination.PageNumberPagination):
        page_size, page_size_query_param, max_page_size = 100, "page_size", SIZE_MAX

    class Offset(pagination.LimitOffsetPagination):
        default_limit, max_limit = 100, SIZE_MAX

    class Cursor(pagination.CursorPagination):
        page_size, page_size_query_param, max_page_size, ordering = 100, "page_size", SIZE_MAX, "id"

    for model in models:
        meta = type("Meta", (), {"model": model, "fields": "__all__"})
        serializer = type("Serializer", (serializers.ModelSerializer,), {"Meta": meta})
        for style in (Page, Offset, Cursor):
            view = generics.ListAPIView.as_view(
                queryset=model.objects.order_by("id"), serializer_class=serializer, pagination_class=style
            )
            yield route(f"{style.__name__.lower()}/{model._meta.db_table}", view)


def application_of(path):
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path}},
        INSTALLED_APPS=["rest_framework"],
        REST_FRAMEWORK={
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "DEFAULT_AUTHENTICATION_CLASSES": [],
            "UNAUTHENTICATED_USER": None,
        },
        ROOT_URLCONF=__name__,
        SECRET_KEY="a rig has no secrets",
        TIME_ZONE="Europe/Amsterdam",
        USE_TZ=True,
    )
    django.setup()
    urlpatterns.extend(routes_of(models_of()))
    return get_asgi_application()


if __name__ == "__main__":
    serve(__doc__, application_of, has_booleans=True)
